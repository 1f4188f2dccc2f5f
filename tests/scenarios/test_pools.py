"""Connections to servers: reused last in first out, limited, aged, replaced when stale, with a queue."""

from __future__ import annotations

import contextlib
import threading

import pytest

from .harness import Client, Exchange, Origin, Scenario, answer, eventually

QUEUED = r"lb_server_connections\{.*queued"


def service(**connections: object) -> str:
    inside = ", ".join(f"{k}: {v}" for k, v in connections.items())
    return f"""
listeners: [{{name: web, bind: "$web"}}]
services:
  app: {{servers: [$a], connections: {{{inside}}}}}
routes: {{"/": app}}
"""


def open_together(s: Scenario, count: int) -> tuple[list[Client], list[Exchange]]:
    """Requests that are all at the server at the same time."""
    clients = [s.client() for _ in range(count)]
    exchanges = []
    for n, c in enumerate(clients):
        c.send_request("GET", f"/{n}")
        exchanges.append(s.a.next_request())
    return clients, exchanges


def done(x: Exchange, body: bytes = b"ok") -> None:
    x.respond(body)
    x.finish()


def test_one_connection_serves_requests_of_many_clients(front: Scenario) -> None:
    for _ in range(10):
        front.get()
    assert len({id(x.wire) for x in front.a.exchanges}) == 1


def test_the_last_connection_back_is_the_first_one_out() -> None:
    with Scenario() as s:
        s.a.take_over()
        clients, exchanges = open_together(s, 3)
        order = [1, 0, 2]
        for n in order:
            done(exchanges[n])
            assert clients[n].recv_response().body == b"ok"
        again = []
        for n in range(3):
            clients[n].send_request("GET", "/again")
            again.append(s.a.next_request())
        assert [x.wire for x in again] == [exchanges[n].wire for n in reversed(order)]
        for x in again:
            done(x)


def test_no_more_idle_connections_than_max_idle() -> None:
    with Scenario(service(max_idle=2)) as s:
        s.a.take_over()
        clients, exchanges = open_together(s, 5)
        for c, x in zip(clients, exchanges, strict=True):
            done(x)
            c.recv_response()
        assert eventually(lambda: sum(not w.ended for w in s.a.connections) == 2)


def test_an_idle_connection_is_closed_after_idle_timeout() -> None:
    with Scenario(service(idle_timeout="300ms")) as s:
        assert s.get().status == 200
        assert s.a.last().dropped(timeout=5)
        assert s.get().status == 200
        assert len(s.a.connections) == 2


def test_an_old_connection_is_not_used_again() -> None:
    with Scenario(service(max_age="300ms")) as s:
        assert s.get().status == 200
        first = s.a.last().wire
        eventually(lambda: s.get().status == 200 and s.a.last().wire is not first, within=5)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stale_connection_is_replaced(front: Scenario, method: str, how: str) -> None:
    """The server hangs up just as the request arrives on a reused connection."""
    assert front.get("/warm").status == 200
    attempts: list[Exchange] = []

    def serve(x: Exchange) -> None:
        attempts.append(x)
        if x.number > 0:
            getattr(x, how)()
        else:
            x.respond(x.body())

    front.a.behaviour = serve
    response = front.request(method, "/stale", body=b"hello" if method == "PUT" else None)
    assert response.status == 200
    assert len(attempts) == 2
    assert attempts[0].wire is not attempts[1].wire
    if method == "PUT":
        assert response.body == b"hello"


def test_a_post_that_may_have_been_done_is_not_sent_again(front: Scenario) -> None:
    """RFC 9110 9.2.2: not idempotent, and its bytes were sent: 502 and never twice."""
    assert front.get("/warm").status == 200

    def serve(x: Exchange) -> None:
        x.body()
        x.close()

    front.a.behaviour = serve
    response = front.request("POST", "/once", body=b"hello")
    assert response.status == 502
    assert [x.target for x in front.a.exchanges].count("/once") == 1


def test_a_large_upload_that_was_begun_is_not_sent_again_in_part(front: Scenario) -> None:
    """What cannot be replayed is not retried: a server never sees half of a body as the whole."""
    assert front.get("/warm").status == 200

    def serve(x: Exchange) -> None:
        if x.number > 0:
            x.wire.recv_exactly(500_000)
            x.reset()
        else:
            x.respond(b"%d" % len(x.body()))

    front.a.behaviour = serve
    body = b"x" * 3_000_000
    with front.client() as c:
        with contextlib.suppress(OSError):
            c.send_request("PUT", "/large", None, body)
        response = c.recv_response()
    assert response.status == 502 or response.body == b"3000000"


def test_an_idle_connection_that_the_server_closed_is_not_used() -> None:
    with Scenario() as s:
        for _ in range(5):
            assert s.get().status == 200
            s.a.last().close()
            assert s.request("POST", "/", body=b"x").status == 200, "even what cannot be retried goes through"


def test_a_server_that_was_restarted_costs_no_request() -> None:
    with Scenario() as s:
        for _ in range(10):
            assert s.get().status == 200
            for wire in s.a.connections:
                wire.reset()


# -- max_per_server
def test_requests_queue_when_all_connections_are_busy() -> None:
    with Scenario(service(max_per_server=2)) as s:
        s.a.take_over()
        clients, exchanges = open_together(s, 2)
        waiting = [s.client() for _ in range(3)]
        for n, c in enumerate(waiting):
            c.send_request("GET", f"/waits-{n}")
            eventually(lambda n=n: s.lb.metric(QUEUED) == n + 1, because="not seen in the queue")
        assert s.a.nothing_came()
        for n in range(3):  # first come, first served
            done(exchanges.pop(0))
            x = s.a.next_request()
            assert x.target == f"/waits-{n}"
            exchanges.append(x)
        for x in exchanges:
            done(x)
        for c in clients + waiting:
            assert c.recv_response().status == 200
        assert len(s.a.connections) == 2
        assert s.log_entry("/waits-0")["queue"] > 0


def test_the_queue_has_a_deadline() -> None:
    with Scenario(service(max_per_server=1, queue_timeout="300ms")) as s:
        s.a.take_over()
        (c,), (x,) = open_together(s, 1)
        assert s.get("/too-late").status == 503
        assert s.log_entry("/too-late")["flag"] == "LW"
        done(x)
        assert c.recv_response().status == 200


def test_a_full_queue_answers_at_once() -> None:
    with Scenario(service(max_per_server=1, queue=1, queue_timeout="30s")) as s:
        s.a.take_over()
        (c,), (x,) = open_together(s, 1)
        second = s.client()
        second.send_request("GET", "/second")
        eventually(lambda: s.lb.metric(QUEUED) == 1)
        assert s.get("/third").status == 503
        assert s.log_entry("/third")["flag"] == "LQ"
        done(x)
        assert c.recv_response().status == 200
        done(s.a.next_request())
        assert second.recv_response().status == 200


def test_a_client_that_leaves_the_queue_is_forgotten() -> None:
    with Scenario(service(max_per_server=1)) as s:
        s.a.take_over()
        (c,), (x,) = open_together(s, 1)
        gone = s.client()
        gone.send_request("GET", "/gone")
        eventually(lambda: s.lb.metric(QUEUED) == 1)
        gone.close()
        eventually(lambda: s.lb.metric(QUEUED) == 0)
        later = s.client()
        later.send_request("GET", "/later")
        done(x)
        assert c.recv_response().status == 200
        x = s.a.next_request()
        assert x.target == "/later"
        done(x)
        assert later.recv_response().status == 200


def test_max_per_server_holds_under_load() -> None:
    most = now = 0
    lock = threading.Lock()

    def serve(x: Exchange) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.002)  # the server's work
        with lock:
            now -= 1
        x.respond(b"ok")

    with Scenario(service(max_per_server=4), a=Origin(serve)) as s:
        failures: list[int] = []

        def run() -> None:
            with s.client() as c:
                failures.extend(r for r in (c.get().status for _ in range(20)) if r != 200)

        threads = [threading.Thread(target=run) for _ in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30)
        assert (failures, len(s.a.connections) <= 4, most <= 4) == ([], True, True)


def test_two_services_with_one_address_share_its_connections() -> None:
    """A Pool belongs to the address."""
    config = """
listeners: [{name: web, bind: "$web"}]
services: {one: ["$a"], two: ["$a"]}
routes: {"/one": one, "/two": two}
"""
    with Scenario(config) as s:
        for path in ("/one", "/two", "/one"):
            assert s.get(path).status == 200
        assert len(s.a.connections) == 1


def test_a_server_on_a_unix_socket(tmp_path) -> None:
    with Scenario(
        a=Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix"), path=str(tmp_path / "app.sock"))
    ) as s:
        assert s.get().body == b"unix"


def test_a_listener_on_a_unix_socket() -> None:
    config = """
listeners: [{name: web, bind: "unix:$dir/lb.sock"}]
services: {app: ["$a"]}
routes: {"/": app}
"""
    with Scenario(config) as s, Client(f"unix:{s.directory}/lb.sock") as c:
        assert c.get().status == 200
