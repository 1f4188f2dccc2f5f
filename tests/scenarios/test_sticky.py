"""Sticky sessions: a client comes back to its server, whatever happens to lb, as long as the server is there."""

from __future__ import annotations

import signal

from .harness import Exchange, Origin, Scenario, eventually
from .harness.client import Response
from .harness.process import Lb

ALGORITHMS = (
    *("round_robin", "random", "weighted_random", "least_connections", "power_of_two", "ewma", "first"),
    *("{name: consistent_hash, key: path}", "{name: consistent_hash, key: path, method: maglev}"),
)
STICKY = '{cookie: lb_server, secret: {file: "$dir/secret"}}'


def config(servers: str = "[$a, $b, $c]", algorithms: tuple[str, ...] = ALGORITHMS, more: str = "") -> str:
    """A service and a route for each algorithm: /0/, /1/ …"""
    services = "\n".join(
        f"  s{n}: {{algorithm: {algorithm}, servers: {servers}, sticky: {STICKY}{more}}}"
        for n, algorithm in enumerate(algorithms)
    )
    routes = "\n".join(f'  "/{n}/": s{n}' for n in range(len(algorithms)))
    return f'workers: 2\nlisteners: [{{name: web, bind: "$web"}}]\nservices:\n{services}\nroutes:\n{routes}\n'


def named(name: str) -> Origin:
    def behave(x: Exchange) -> None:
        x.body()
        x.respond(name.encode())

    return Origin(behave)


def scene(text: str) -> Scenario:
    s = Scenario(text, **{name: named(name) for name in "abc"})
    (s.directory / "secret").write_text("0123456789abcdef" * 2)
    return s


def cookie_of(response: Response) -> str:
    (line,) = [c for c in response.all("set-cookie") if c.startswith("lb_server=")]
    value, *attributes = line.split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    return value


def session(s: Scenario, path: str, wanted: str = "") -> tuple[str, str]:
    """(the server, the cookie) of a new client, on a connection of its own; `wanted`: on one of these."""

    def come() -> tuple[str, str] | None:
        response = s.get(path)
        name = response.body.decode()
        return (name, cookie_of(response)) if not wanted or name in wanted else None

    return eventually(come, because=f"nobody gets to {wanted}")


def again(s: Scenario, path: str, cookie: str, times: int = 6) -> set[str]:
    """The servers that a client with this cookie gets to, and that it gets no other cookie."""
    found = set()
    for _ in range(times):
        response = s.get(path, {"Cookie": f"theme=dark; {cookie}"})
        assert response.status == 200 and not response.all("set-cookie")
        found.add(response.body.decode())
    return found


def reload(s: Scenario, text: str) -> None:
    before = s.generation()
    s.write(text)
    s.lb.signal(signal.SIGHUP)
    eventually(lambda: s.generation() > before, because="no new generation")


def test_every_algorithm_over_a_reload_and_a_restart() -> None:
    with scene(config()) as s:
        sessions = {f"/{n}/": [session(s, f"/{n}/{at}") for at in range(4)] for n in range(len(ALGORITHMS))}
        spread = {name for each in sessions.values() for name, _ in each}
        assert spread == set("abc")

        def all_stay(times: int) -> None:
            for path, clients in sessions.items():
                for n, (name, cookie) in enumerate(clients):
                    assert again(s, f"{path}x{n}", cookie, times) == {name}, (path, name)

        all_stay(4)
        # another order, another algorithm, other weights: the same servers
        reload(s, config("[$c, {address: $a, weight: 5}, $b]", tuple(reversed(ALGORITHMS))))
        all_stay(2)
        s.lb.kill()
        s.lb = Lb(s.file, s.names["admin"])
        all_stay(2)
        s.get("/0/logged", {"Cookie": sessions["/0/"][0][1]})
        assert s.log_entry("/0/logged")["reason"] == "sticky"
        assert s.lb.metric(r"lb_route_sticky_total\b") == len(ALGORITHMS) * 4 * 2 + 1
        assert s.lb.metric(r"lb_route_sticky_lost_total\b") == 0


def test_a_server_that_is_removed_loses_its_sessions_and_no_others() -> None:
    with scene(config(algorithms=ALGORITHMS[:1])) as s:
        gone, stays = session(s, "/0/", "c"), session(s, "/0/", "ab")
        reload(s, config("[$a, $b]", ALGORITHMS[:1]))
        response = s.get("/0/moved", {"Cookie": gone[1]})
        moved = cookie_of(response)
        assert response.status == 200 and moved != gone[1]
        assert again(s, "/0/", moved) == {response.body.decode()}
        assert again(s, "/0/", stays[1]) == {stays[0]}
        assert s.log_entry("/0/moved")["reason"] == "sticky_lost"
        assert s.lb.metric(r"lb_route_sticky_lost_total\b") == 1


def test_a_server_with_weight_0_keeps_its_sessions_and_gets_no_more() -> None:
    with scene(config(algorithms=ALGORITHMS[:1])) as s:
        name, cookie = session(s, "/0/", "c")
        reload(s, config("[$a, $b, {address: $c, weight: 0}]", ALGORITHMS[:1]))
        assert again(s, "/0/", cookie) == {name}
        assert {session(s, "/0/")[0] for _ in range(8)} == {"a", "b"}


def order(s: Scenario, name: str, mode: str) -> None:
    """An operator's word on one server, in effect in both workers."""
    path = f"/api/v1/services/s0/servers/{s.names[name]}/override"
    status, text = s.lb.admin("PUT", path, f'{{"mode": "{mode}", "reason": "a test", "author": "ann"}}')
    assert status == 200, text
    eventually(
        lambda: all(s.get("/0/").body.decode() != name for _ in range(12)),
        because=f"{name} gets new sessions",
    )


def test_draining_keeps_sessions_and_maintenance_does_not() -> None:
    with scene(config(algorithms=ALGORITHMS[:1])) as s:
        _, cookie = session(s, "/0/", "b")
        order(s, "b", "drain")
        assert again(s, "/0/", cookie, 12) == {"b"}
        order(s, "b", "maintenance")

        def moved() -> set[str]:
            return {s.get("/0/", {"Cookie": cookie}).body.decode() for _ in range(12)}

        eventually(lambda: moved() == {"a", "c"}, because="the session stays on a server in maintenance")


def test_a_server_that_dies_hands_its_sessions_on_without_an_error() -> None:
    with scene(config(algorithms=ALGORITHMS[:1])) as s:
        _, cookie = session(s, "/0/", "b")
        s.b.stop_listening()
        s.b.close()
        response = s.get("/0/", {"Cookie": cookie})
        assert response.status == 200 and response.body in (b"a", b"c")
        assert again(s, "/0/", cookie_of(response)) == {response.body.decode()}


def test_explain_says_where_a_session_goes_and_why() -> None:
    with scene(config(algorithms=ALGORITHMS[:1])) as s:
        name, cookie = session(s, "/0/")
        ask = '{"method": "GET", "url": "http://example.test/0/", "headers": {"cookie": ["%s"]}}'
        status, text = s.lb.admin("POST", "/api/v1/explain", ask % cookie)
        assert status == 200, text
        assert s.names[name] in text and "the cookie of the session names it" in text
        _, text = s.lb.admin("POST", "/api/v1/explain", ask % "lb_server=made-up")
        assert "picked anew" in text


def test_a_client_cannot_make_up_a_cookie() -> None:
    with scene(config(algorithms=ALGORITHMS[:1])) as s:
        name, cookie = session(s, "/0/")
        forged = [s.names[name], "s0", cookie.partition("=")[2][:-1], cookie.partition("=")[2] + "A", ""]
        for value in forged:
            assert cookie_of(s.get("/0/", {"Cookie": f"lb_server={value}"})) != f"lb_server={value}"
