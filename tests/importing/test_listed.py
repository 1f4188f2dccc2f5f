"""Whatever stands in a source either changes what is made of it, or has a line in the lists: nothing is
dropped in silence.

Of nginx: every directive that crossplane knows, in every block that takes it (but `if`: what is in one is
named with it). Of HAProxy: what it names itself, and its classic keywords.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from crossplane import analyzer

from lb.importing.haproxy import import_haproxy
from lb.importing.nginx import import_nginx
from tests.importing.real import program

# A server that has of all what there is, so that what is inherited has somebody who inherits it.
NGINX = """%(main)s
events { }
http {
%(http)s
upstream app { server 10.0.0.1:80; %(upstream)s
}
server { listen 80; server_name z.test; return 404; }
server { listen 80; server_name a.test; %(server)s
location / { proxy_pass http://app; %(location)s
limit_except GET { deny all; %(except)s
} }
} }
"""
PLACES = {
    "main": analyzer.NGX_MAIN_CONF,
    "http": analyzer.NGX_HTTP_MAIN_CONF,
    "upstream": analyzer.NGX_HTTP_UPS_CONF,
    "server": analyzer.NGX_HTTP_SRV_CONF,
    "location": analyzer.NGX_HTTP_LOC_CONF,
    "except": analyzer.NGX_HTTP_LMT_CONF,
}
# Arguments of those that must have better ones than "7".
ARGUMENTS = {
    "access_log": "/x combined",
    "add_header": "x-a b",
    "allow": "10.0.0.0/8",
    "auth_basic": "x",
    "auth_jwt": "x",
    "auth_request": "/x",
    "deny": "all",
    "error_page": "404 /x",
    "hash": "$request_uri",
    "if": "($a) { }",
    "include": "/nowhere/*.conf",
    "ip_hash": "",
    "internal": "",
    "large_client_header_buffers": "4 16k",
    "least_conn": "",
    "limit_except": "GET { }",
    "listen": "81",
    "location": "/a { }",
    "map": "$a $b { }",
    "proxy_hide_header": "x-b",
    "proxy_next_upstream": "error",
    "proxy_pass": "http://10.0.0.2:81",
    "proxy_set_header": "x-c d",
    "random": "two",
    "real_ip_header": "X-Real-IP",
    "return": "204",
    "rewrite": "^/a$ /b break",
    "satisfy": "any",
    "server": "10.0.0.3:80",
    "server_name": "b.test",
    "set_real_ip_from": "10.0.0.0/8",
    "split_clients": "$a $b { }",
    "sticky": "cookie a",
    "upstream": "b { server 10.0.0.4:80; }",
    "worker_processes": "3",
    "zone": "a 1m",
    "queue": "7",
    "http": "{ }",
}
BLOCKED = analyzer.NGX_CONF_BLOCK


def nginx_cases():
    for name, masks in analyzer.DIRECTIVES.items():
        for place, bit in PLACES.items():
            # the template has these, and nginx refuses a second one
            twice = name in ("events", "http") or (place, name) == ("location", "proxy_pass")
            if any(mask & bit for mask in masks) and not twice:
                block = any(mask & BLOCKED and mask & bit for mask in masks)
                yield place, name, block


def nginx_line(name: str, place: str, block: bool) -> str:
    if name == "server" and place == "http":
        return "server { listen 82; return 204; }"
    if name in ARGUMENTS:
        words = f"{name} {ARGUMENTS[name]}"
    else:
        words = f"{name} 7 {{ }}" if block else f"{name} 7"
    return words if words.endswith("}") else f"{words};"


def test_every_directive_of_nginx_in_every_place(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    parts = dict.fromkeys(PLACES, "")

    def made(text: str):
        file.write_text(text)
        draft = import_nginx(file)
        said = [gap.line for gap in draft.gaps] + [int(one.split(":")[1]) for one in draft.left_out]
        return draft.document(), said

    base, _ = made(NGINX % parts)
    silent = []
    cases = list(nginx_cases())
    for place, name, block in cases:
        # on a line of its own, which the lists then name
        text = NGINX % {**parts, place: f"\n{nginx_line(name, place, block)}\n"}
        line = 1 + next(
            at for at, one in enumerate(text.splitlines()) if one.startswith(f"{name} ") or one == f"{name};"
        )
        document, said = made(text)
        if document == base and line not in said:
            silent.append((place, text.splitlines()[line - 1]))
    assert not silent, "\n".join(map(str, silent))
    assert len(cases) > 1000


HAPROXY = {
    "global": "",
    "defaults": "mode http",
    "frontend www": "bind :80\ndefault_backend app",
    "backend app": "server a 10.0.0.1:80",
}
# Of HAProxy's classic keywords, which it does not list itself.
CLASSIC = re.findall(
    r"\S+",
    """
    acl backlog balance bind cookie default-server default_backend description disabled dispatch
    email-alert enabled errorfile fullconn hash-type http-request http-response http-reuse id
    load-server-state-from-file log log-format log-tag maxconn mode monitor monitor-net monitor-uri
    option redirect retries server server-state-file-name server-template source stats stick stick-table
    tcp-request transparent unique-id-format unique-id-header use-server use_backend chroot daemon group
    log-send-hostname maxpipes nbproc node pidfile presetenv quiet setenv spread-checks stats
    tune.bufsize tune.maxrewrite tune.ssl.default-dh-param ulimit-n user
    """,
)
OPTIONS = re.findall(
    r"\S+",
    """
    abortonclose allbackups checkcache clitcpka contstats disable-h2-upgrade dontlog-normal dontlognull
    forwardfor http-buffer-request http-ignore-probes http-keep-alive http-no-delay
    http-pretend-keepalive http-restrict-req-hdr-names http-server-close http-use-htx
    http-use-proxy-header httpchk httpclose httplog independent-streams ldap-check log-health-checks
    log-separate-errors logasap mysql-check nolinger originalto persist pgsql-check prefer-last-server
    redis-check redispatch smtpchk socket-stats splice-auto srvtcpka ssl-hello-chk tcp-check
    tcp-smart-accept tcpka tcplog
    """,
)
TIMEOUTS = re.findall(
    r"\S+",
    "check client client-fin connect http-keep-alive http-request queue server server-fin tarpit tunnel",
)
WORDS = {
    "acl": "acl x path /x",
    "balance": "balance source",
    "bind": "bind :81",
    "cookie": "cookie A insert",
    "default-server": "default-server weight 7",
    "http-request": "http-request set-header a b",
    "http-response": "http-response set-header a b",
    "http-check": "http-check expect status 200",
    "mode": "mode tcp",
    "redirect": "redirect location /x",
    "server": "server b 10.0.0.2:80",
    "server-template": "server-template s 3 a:80",
    "use_backend": "use_backend app if { path /x }",
    "default_backend": "default_backend other",
    "monitor-uri": "monitor-uri /x",
    "retry-on": "retry-on 503",
    "hard-stop-after": "hard-stop-after 7s",
    "log": "log 127.0.0.1 local0",
}


def haproxy_words() -> dict[str, str]:
    found = subprocess.run(
        [program("haproxy"), "-dKcfg", "-q", "-c", "-f", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout + found.stderr


def test_every_keyword_and_parameter_of_haproxy(tmp_path: Path) -> None:
    listed = haproxy_words()
    parameters = set(
        re.findall(r"^\t(bind <addr>|server <name> <addr>) (?:ssl )?(\S+)(?: \+(\d))?", listed, re.MULTILINE)
    )
    keywords = {*re.findall(r"^\t([a-z][\w.-]*)$", listed, re.MULTILINE), *CLASSIC}
    assert len(parameters) > 100
    assert len(keywords) > 150
    file = tmp_path / "haproxy.cfg"

    def made(**more: str):
        text, lines = "", {}
        for section, given in HAPROXY.items():
            text += f"{section}\n{given}\n"
            if section.split()[0] in more:
                text += f"{more[section.split()[0]]}\n"
                lines = text.count("\n")
        file.write_text(text)
        draft = import_haproxy(file)
        said = [gap.line for gap in draft.gaps] + [int(one.split(":")[1]) for one in draft.left_out]
        return draft.document(), said, lines

    silent, cases = [], []
    for kind, name, number in sorted(parameters):
        section, start = (
            ("frontend", "bind :81") if kind.startswith("bind") else ("backend", "server b 10.0.0.2:80")
        )
        value = {"track": "a/b"}.get(name, "7")
        cases.append((section, start, " ".join([start, name, *[value] * int(number or 0)])))
    words = [WORDS.get(name, f"{name} 7") for name in sorted(keywords - {"option", "timeout"})]
    words += [f"option {name}" for name in OPTIONS] + [f"timeout {name} 7s" for name in TIMEOUTS]
    for word in words:
        cases += [(section.split()[0], "", word) for section in HAPROXY]
    for section, before, word in cases:
        document, said, line = made(**{section: word})
        if document == made(**({section: before} if before else {}))[0] and line not in said:
            silent.append((section, word))
    assert not silent, "\n".join(map(str, silent))
