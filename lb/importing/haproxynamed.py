"""What of an haproxy.cfg is not in the draft, by name.

Lives here: lines that nothing came of, and what to do instead. Must not live here: what maps.
"""

from __future__ import annotations

from lb.importing.haproxylines import Line
from lb.importing.result import Draft

FRONT = "end TLS in front of lb (stunnel, hitch, a CDN) and forward to the address of this listener"

# About how HAProxy works inside, or what lb always does: nothing is lost without them.
MOOT = {
    *(
        "user",
        "group",
        "daemon",
        "chroot",
        "pidfile",
        "ulimit-n",
        "description",
        "hash-type",
        "http-reuse",
        "id",
    ),
    *("cpu-map", "master-worker", "spread-checks", "fullconn", "setenv", "presetenv", "insecure-fork-wanted"),
    *(
        "option httpchk",
        "timeout check",
        "http-check",
        "mode",
        "no",
        "stats socket",
        "stats timeout",
        "log global",
    ),
    *(
        "option httplog",
        "option dontlognull",
        "option forwardfor",
        "option http-server-close",
        "option tcplog",
    ),
    *("option http-keep-alive", "option redispatch", "option log-health-checks", "option logasap"),
    *("option prefer-last-server", "option tcp-smart-accept", "option tcp-smart-connect", "option tcpka"),
    *(
        "option splice-auto",
        "option dontlog-normal",
        "option clitcpka",
        "option srvtcpka",
        "option contstats",
    ),
    *("option http-no-delay",),
}
ADVICE = {
    "stats": "admin has /metrics and the dashboard",
    "stick": "use sticky, or consistent_hash",
    "stick-table": "use sticky, or consistent_hash; lb keeps no counters of clients",
    "compression": "let servers compress",
    "errorfile": "lb answers with short texts of its own",
    "log-format": "write access_log.format with ${fields}",
    "log": "lb has one access log",
    "capture": "access_log.format has header:NAME",
    "tcp-request": "limits of listeners bound connections",
    "peers": "lbs share health and orders through cluster",
    "resolvers": "servers[].resolve asks the system's name servers, discover.dns others",
    "server-template": "write discover.dns",
    "userlist": "let servers ask for passwords",
    "timeout tunnel": "timeout.idle bounds tunnels",
    "ssl-": FRONT,
    "tune.ssl": FRONT,
    "ca-base": FRONT,
    "crt-base": FRONT,
    "option httpclose": "lb keeps connections; connections.max_idle: 0 keeps none to servers",
}


def name_unused(draft: Draft, line: Line) -> None:
    """Says of a line that nothing came of it."""
    word, both_words = line.words[0], " ".join(line.words[:2])
    if both_words == "option forwardfor" and "header" in line.words:
        draft.gap(line.place, str(line), "the header has a fixed name", "write request_headers")
        return
    if word in MOOT or both_words in MOOT:
        draft.needless(line.place, str(line))
        return
    family = next((advice for name, advice in ADVICE.items() if word.startswith(name)), "")
    draft.gap(line.place, str(line), "nothing in lb comes of it", ADVICE.get(both_words) or family)
