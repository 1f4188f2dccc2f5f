"""Each algorithm of CONFIG.md spreads real requests over real servers as it promises."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from .harness import Exchange, Origin, Scenario, eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def quick(x: Exchange) -> None:
    x.body()
    x.send(OK)


def config(algorithm: str, servers: str = "[$a, $b, $c]", workers: int = 1) -> str:
    return f"""
workers: {workers}
listeners: [{{name: web, bind: "$web"}}]
services: {{app: {{algorithm: {algorithm}, servers: {servers}}}}}
routes: {{"/": app}}
"""


def three() -> dict[str, Origin]:
    return {name: Origin(quick) for name in "abc"}


def counts(s: Scenario) -> dict[str, int]:
    return {name: len(origin.exchanges) for name, origin in s.servers.items()}


def send(s: Scenario, n: int, headers=None) -> None:
    with s.client() as c:
        for i in range(n):
            assert c.get(f"/{i}", headers(i) if headers else None).status == 200


WEIGHTED = "[{address: $a, weight: 5}, {address: $b, weight: 1}, {address: $c, weight: 1}]"


def test_round_robin_is_even() -> None:
    with Scenario(config("round_robin"), **three()) as s:
        send(s, 30)
        assert set(counts(s).values()) == {10}


def test_round_robin_by_weight_is_smooth() -> None:
    with Scenario(config("round_robin", WEIGHTED), **three()) as s:
        order: list[str] = []
        for name, origin in s.servers.items():
            origin.behaviour = lambda x, name=name: (order.append(name), quick(x))
        send(s, 70)
        assert counts(s) == {"a": 50, "b": 10, "c": 10}
        assert all(set(order[i : i + 7]) == {"a", "b", "c"} for i in range(0, 70, 7)), order


@pytest.mark.parametrize("algorithm", ["random", "power_of_two", "ewma", "least_connections"])
def test_everybody_gets_a_share(algorithm: str) -> None:
    """One request at a time, servers alike: nobody starves and nobody gets nearly all."""
    with Scenario(config(algorithm), **three()) as s:
        send(s, 600)
        # peak-EWMA asks everybody once, and one that was slow once (its first connection) again when that has decayed:
        # tau is 10 s (reference/algorithms.md), this test takes one
        least, most = (0, 599) if algorithm == "ewma" else (60, 400)
        assert all(least < n < most for n in counts(s).values()), counts(s)


def test_weighted_random() -> None:
    with Scenario(config("weighted_random", WEIGHTED), **three()) as s:
        send(s, 700)
        assert 430 < counts(s)["a"] < 570, counts(s)
        assert all(60 < counts(s)[n] < 145 for n in "bc"), counts(s)


@pytest.mark.parametrize("workers", [1, 2])
def test_least_connections_counts_those_of_all_workers(workers: int) -> None:
    """Twelve long requests on three servers, through any worker: four each."""
    gate = threading.Event()

    def slow(x: Exchange) -> None:
        gate.wait(20)
        quick(x)

    with Scenario(config("least_connections", workers=workers), **{n: Origin(slow) for n in "abc"}) as s:
        clients = []
        for n in range(12):
            c = s.client()
            c.send_request("GET", "/long")
            clients.append(c)
            eventually(lambda n=n: sum(counts(s).values()) == n + 1)
        spread = counts(s)
        gate.set()
        for c in clients:
            assert c.recv_response().status == 200
        assert set(spread.values()) == {4}, spread


@pytest.mark.parametrize("algorithm", ["least_connections", "power_of_two", "ewma"])
def test_a_server_that_is_slow_gets_less(algorithm: str) -> None:
    def slow(x: Exchange) -> None:
        threading.Event().wait(0.05)  # what makes this server the slow one
        quick(x)

    with Scenario(config(algorithm), a=Origin(slow), b=Origin(quick), c=Origin(quick)) as s:
        threads = [threading.Thread(target=send, args=(s, 40)) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        got = counts(s)
        assert got["a"] < 0.6 * min(got["b"], got["c"]), got


def test_ewma_is_not_drawn_to_a_server_that_fails_fast() -> None:
    def fails(x: Exchange) -> None:
        x.body()
        x.respond(b"no", "503 Service Unavailable")

    def works(x: Exchange) -> None:
        threading.Event().wait(0.004)
        quick(x)

    with Scenario(config("ewma"), a=Origin(fails), b=Origin(works), c=Origin(works)) as s:

        def run() -> None:
            with s.client() as c:
                for _ in range(100):
                    c.get()

        threads = [threading.Thread(target=run) for _ in range(5)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert counts(s)["a"] < 0.1 * sum(counts(s).values()), counts(s)


HASHES = [
    *(
        (key, "rendezvous")
        for key in ("client_ip", "host", "path", "uri", "header:x-user", "cookie:sid", "query:id")
    ),
    *((key, method) for key in ("header:x-user", "path") for method in ("maglev", "ketama")),
]


@pytest.fixture(scope="module")
def hashing() -> Iterator[Scenario]:
    """A service and a path for each combination of key and method."""
    services = "".join(
        f"  s{n}: {{algorithm: {{name: consistent_hash, key: '{key}', method: {method}, bounded_load: 0}}, servers: [$a, $b, $c]}}\n"
        for n, (key, method) in enumerate(HASHES)
    )
    routes = ", ".join(f'"/s{n}": s{n}' for n in range(len(HASHES)))
    text = f'listeners: [{{name: web, bind: "$web"}}]\nservices:\n{services}routes: {{{routes}}}\n'
    with Scenario(text, **three()) as s:
        yield s


def asks(key: str, user: int, n: int) -> tuple[str, dict[str, str]]:
    """The rest of a target and the headers that make `user` the key of request `n`, which differs otherwise."""
    return {
        "client_ip": (f"/{n}", {}),
        "host": (f"/{n}", {"Host": f"h{user}.test"}),
        "path": (f"/p{user}?x={n}", {}),
        "uri": (f"/p?x={user}", {"X-N": str(n)}),
        "header:x-user": (f"/{n}", {"X-User": f"u{user}"}),
        "cookie:sid": (f"/{n}", {"Cookie": f"a={n}; sid=u{user}"}),
        "query:id": (f"/p{n}?id={user}&y={n}", {}),
    }[key]


@pytest.mark.parametrize("number", range(len(HASHES)), ids=[f"{key} {method}" for key, method in HASHES])
def test_consistent_hash_keeps_a_key_where_it_was(hashing: Scenario, number: int) -> None:
    key = HASHES[number][0]
    hashing.reset()
    where: dict[int, set[str]] = {}
    with hashing.client() as c:
        for n in range(120):
            user = 0 if key == "client_ip" else n % 30
            target, headers = asks(key, user, n)
            before = counts(hashing)
            assert c.get(f"/s{number}{target}", headers).status == 200
            (name,) = [server for server, v in counts(hashing).items() if v > before[server]]
            where.setdefault(user, set()).add(name)
    assert all(len(names) == 1 for names in where.values()), where
    if key != "client_ip":
        assert len(set.union(*where.values())) == 3, "thirty keys and one server is never asked"


def test_the_same_key_goes_to_the_same_server_through_every_worker() -> None:
    with Scenario(config("{name: consistent_hash, key: 'header:x-user'}", workers=2), **three()) as s:
        where: dict[int, set[str]] = {}
        for i in range(90):  # a connection each, so that both workers get some
            before = counts(s)
            assert s.get("/", {"X-User": f"u{i % 9}"}).status == 200
            (name,) = [n for n, v in counts(s).items() if v > before[n]]
            where.setdefault(i % 9, set()).add(name)
        assert all(len(names) == 1 for names in where.values()), where


def test_bounded_load_lets_a_hot_key_overflow() -> None:
    gate = threading.Event()

    def slow(x: Exchange) -> None:
        gate.wait(20)
        quick(x)

    hot = config("{name: consistent_hash, key: path, bounded_load: 1.25}")
    with Scenario(hot, **{n: Origin(slow) for n in "abc"}) as s:
        clients = []
        for n in range(12):
            c = s.client()
            c.send_request("GET", "/hot")
            clients.append(c)
            eventually(lambda n=n: sum(counts(s).values()) == n + 1)
        spread = counts(s)
        gate.set()
        for c in clients:
            assert c.recv_response().status == 200
        assert max(spread.values()) <= 6, spread


def test_first_takes_the_first_that_works() -> None:
    with Scenario(config("first"), **three()) as s:
        send(s, 20)
        assert counts(s) == {"a": 20, "b": 0, "c": 0}


def test_a_backup_waits_for_its_turn() -> None:
    servers = "[{address: $a}, {address: $b}, {address: $c, backup: true}]"
    with Scenario(config("round_robin", servers), **three()) as s:
        send(s, 20)
        assert counts(s) == {"a": 10, "b": 10, "c": 0}


def test_a_backup_helps_when_all_others_fail() -> None:
    """A retry goes on to the backup once every other server was tried."""
    servers = '[{address: "$closed"}, {address: $a, backup: true}]'
    with Scenario(config("round_robin", servers), a=Origin(quick)) as s:
        for _ in range(5):
            assert s.get().status == 200


def test_a_server_of_weight_zero_gets_nothing() -> None:
    with Scenario(
        config("round_robin", "[{address: $a, weight: 0}, {address: $b}, {address: $c}]"), **three()
    ) as s:
        send(s, 20)
        assert counts(s) == {"a": 0, "b": 10, "c": 10}


@pytest.mark.parametrize(
    "algorithm", ["round_robin", "random", "least_connections", "power_of_two", "ewma", "consistent_hash"]
)
def test_a_dead_server_costs_no_request(algorithm: str) -> None:
    """Connecting fails, nothing was sent: the request goes to another server."""
    with Scenario(config(algorithm, '[$a, $b, "$closed"]'), a=Origin(quick), b=Origin(quick)) as s:
        statuses = Counter(s.get(f"/{n}").status for n in range(60))
        assert statuses == {200: 60}


def test_attempts_are_in_the_log() -> None:
    with Scenario(config("first", '["$closed", $a]'), a=Origin(quick)) as s:
        assert s.get("/tried").status == 200
        entry = s.log_entry("/tried")
        attempts = entry["attempts"]
        assert isinstance(attempts, list)
        assert [a["server"] for a in attempts] == [s.names["closed"], s.a.address]
        assert [a["status"] for a in attempts] == [0, 200]
        assert attempts[0]["flag"] == "SC"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_retry_on_a_status(status: int) -> None:
    text = config("first", "[$a, $b]").replace('routes: {"/": app}', (
        "routes:\n  - {name: all, match: {path_prefix: /}, service: app, retry: {attempts: 1, on: [connect, reset, 502, 503, 504]}}"
    ))  # fmt: skip
    fails = Origin(lambda x: (x.body(), x.respond(b"no", f"{status} Sorry")))
    with Scenario(text, a=fails, b=Origin(quick)) as s:
        assert s.get().status == 200
        assert s.request("PUT", "/", body=b"hello").status == 200
        assert s.request("POST", "/", body=b"hello").status == status, "not idempotent"


def test_twenty_servers_each_get_their_turn() -> None:
    many = [Origin(quick) for _ in range(20)]
    listed = ", ".join(f'"{o.address}"' for o in many)
    try:
        with Scenario(config("round_robin", f"[{listed}]"), **three()) as s:
            send(s, 100)
            assert {len(o.exchanges) for o in many} == {5}
    finally:
        for o in many:
            o.close()


@pytest.mark.parametrize(("skip", "wanted"), [(0, "c"), (1, "b")])
def test_a_class_of_a_users_own(skip: int, wanted: str) -> None:
    own = f'{{name: "tests.scenarios.own_balancer:Last", options: {{skip: {skip}}}}}'
    with Scenario(config(own), **three()) as s:
        send(s, 10)
        assert counts(s) == {n: 10 if n == wanted else 0 for n in "abc"}


def test_a_class_of_a_users_own_is_asked_again_for_a_retry() -> None:
    with Scenario(config("tests.scenarios.own_balancer:Last", '[$a, "$closed"]'), a=Origin(quick)) as s:
        send(s, 5)
