"""Mirroring by real processes: the second service gets its copies, its answers are compared, and whatever it
does, clients notice nothing."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from .harness import Exchange, Origin, Scenario, chunked, echo, eventually


def config(mirror: str = "{service: next}", **more: str) -> str:
    inside = "".join(f", {key}: {value}" for key, value in more.items())
    return f"""
listeners: [{{name: web, bind: "$web"}}]
services: {{app: ["$a"], next: ["$b"]}}
routes: [{{name: all, service: app, mirror: {mirror}{inside}}}]
"""


def said(body: bytes = b"ok", status: str = "200 OK", headers: str = ""):
    def behave(x: Exchange) -> None:
        x.body()
        x.respond(body, status, headers)

    return behave


def silent(x: Exchange) -> None:
    x.body()
    x.dropped(60)
    x.finish()


def counts(s: Scenario) -> dict[str, float]:
    """The counters of copies that are not 0, by their short names."""
    found = {}
    for name, value in s.lb.metrics().items():
        if name.startswith("lb_mirror_") and value:
            assert 'route="all",service="next"' in name
            short = name.partition("{")[0].removeprefix("lb_mirror_").removesuffix("_total")
            found[name.rpartition('difference="')[2][:-2] if short == "different" else short] = value
    return found


def settled(s: Scenario, **wanted: float) -> None:
    """Wait until no copy is under way and the counters are these."""
    eventually(lambda: counts(s) == wanted or None, because=f"counters {wanted}, found {counts(s)}")


def nothing_under_way(s: Scenario) -> bool:
    gauges = ("lb_mirror_requests_in_flight", "lb_requests_in_flight", "lb_server_requests_in_flight")
    return sum(v for k, v in s.lb.metrics().items() if k.startswith(gauges)) == 0


def events(s: Scenario) -> list[dict]:
    told = json.loads(s.lb.admin("GET", "/api/v1/events")[1])["events"]
    return [e for e in told if e["kind"] == "mirror_different"]


def test_the_same_answer_is_no_difference() -> None:
    with Scenario(config(), a=Origin(said()), b=Origin(said())) as s:
        with s.client() as c:
            for _ in range(20):
                assert c.get("/same?x=1", {"X-Id": "7"}).body == b"ok"
        settled(s, requests=20)
        copy = s.b.last()  # two that are under way may arrive in either order
        number = copy.head.get("x-request-id")
        (original,) = (x for x in s.a.exchanges if x.head.get("x-request-id") == number)
        assert copy.head.get("x-mirror") == "1" and original.head.get("x-mirror") is None
        assert (copy.method, copy.target) == ("GET", "/same?x=1")
        for name in ("host", "x-id", "x-request-id", "x-forwarded-for", "via"):
            assert copy.head.get(name) == original.head.get(name) is not None
        assert events(s) == [] and nothing_under_way(s)
        metrics = s.lb.metrics()
        assert metrics['lb_requests_total{route="all",service="app",code="2xx"}'] == 20
        assert not any(k.startswith("lb_requests_total") and "next" in k for k in metrics)
        assert s.lb.metric(r'lb_server_requests_total\{service="next"') == 20
        assert s.lb.metric(r"lb_listener_requests_total") == 20
        s.get("/end")
        assert s.log_entry("/end")
        assert s.log_text().count("/same") == 20
        settled(s, requests=21)
        shown = json.loads(s.lb.admin("GET", "/api/v1/routes")[1])["routes"][0]["mirror"]
        assert (shown["service"], shown["share"], shown["requests"], shown["in_flight"]) == ("next", 1, 21, 0)


def test_a_share() -> None:
    with Scenario(config("{service: next, share: 20%}"), a=Origin(said()), b=Origin(said())) as s:
        with s.client() as c:
            for _ in range(300):
                c.get()
        eventually(lambda: nothing_under_way(s))
        found = counts(s)
        assert found.keys() == {"requests"} and 30 <= found["requests"] <= 95
        assert len(s.b.exchanges) == found["requests"]


@pytest.mark.parametrize(
    ("place", "behaviour", "text"),
    [
        ("status", said(b"ok", "500 Internal Server Error"), "status: expected 200, came 500"),
        ("header", said(headers="Content-Type: text/html\r\n"), "content-type: expected none, came one"),
        ("header", said(headers="X-Key: s3cret\r\n"), "x-key: expected none, came one"),
        ("body", said(b"s3cret"), "body: expected 2 bytes (sha256 2689367b205c), came 6 bytes (sha256 "),
    ],
)
def test_a_difference_is_counted_and_told(place: str, behaviour, text: str) -> None:
    mirror = "{service: next, compare: {headers: [content-type, x-key]}}"
    with Scenario(config(mirror), a=Origin(said()), b=Origin(behaviour)) as s:
        with s.client() as c:
            for _ in range(5):
                assert c.get("/cart?token=s3cret").body == b"ok"
        settled(s, requests=5, **{place: 5})
        told = eventually(lambda: events(s))
        assert len(told) <= 2, "a sample"
        (event, *_) = told
        assert (event["reason"], event["service"]) == (place, "next")
        assert event["text"].startswith(f"route all, GET /cart: the copy was answered otherwise: {text}")
        assert event["facts"]["request_id"] in [x.head.get("x-request-id") for x in s.a.exchanges]
        assert "mirror_different: route all, GET /cart" in s.lb.said()
        assert "s3cret" not in json.dumps(told) + s.lb.said()


def test_what_is_not_compared_does_not_differ() -> None:
    mirror = "{service: next, compare: {status: false, headers: [], body: false}}"
    with Scenario(config(mirror), a=Origin(said()), b=Origin(said(b"no", "404 No", "A: b\r\n"))) as s:
        s.get()
        settled(s, requests=1)


def test_gzipped_json_equals_plain_json() -> None:
    kind = "Content-Type: application/json\r\n"
    one = said(b'{"a": [1, 2], "b": null}', headers=kind)
    other = said(gzip.compress(b'{"b":null,"a":[1,2]}'), headers=kind + "Content-Encoding: gzip\r\n")
    with Scenario(config(), a=Origin(one), b=Origin(other)) as s:
        s.get()
        settled(s, requests=1)
        s.b.behaviour = said(gzip.compress(b'{"b":0,"a":[1,2]}'), headers=kind + "Content-Encoding: gzip\r\n")
        s.get()
        settled(s, requests=2, body=1)
        s.b.behaviour = said(gzip.compress(bytes(50_000_000)), headers=kind + "Content-Encoding: gzip\r\n")
        before = s.lb.rss()
        s.get()
        settled(s, requests=3, body=1)
        assert s.lb.rss() < before + 20_000_000


def test_chunked_answers_and_answers_that_end_with_the_connection() -> None:
    def pieces(x: Exchange) -> None:
        x.body()
        x.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunked(b"o", b"k", trailer=b"A: b\r\n")
        )

    def until_close(x: Exchange) -> None:
        x.body()
        x.send(b"HTTP/1.1 200 OK\r\n\r\no")
        time.sleep(0.05)
        x.send(b"k")
        x.close()

    with Scenario(config(), a=Origin(said()), b=Origin(pieces)) as s:
        s.get()
        settled(s, requests=1)
        s.b.behaviour = until_close
        s.get()
        settled(s, requests=2)
        s.a.behaviour = pieces
        assert s.get().body == b"ok"
        settled(s, requests=3)
        assert nothing_under_way(s)


def test_head_requests() -> None:
    def head(x: Exchange) -> None:
        x.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")

    with Scenario(config(), a=Origin(head), b=Origin(head)) as s:
        with s.client() as c:
            for _ in range(3):
                assert c.request("HEAD", "/").status == 200
        settled(s, requests=3)
        assert s.b.last().method == "HEAD"


def test_uploads_are_sent_again() -> None:
    large = bytes(range(256)) * 200
    with Scenario(config(compare), a=Origin(echo_body), b=Origin(echo_body)) as s:
        with s.client() as c:
            assert c.request("POST", "/", body=b"small").body == b"small"
            settled(s, requests=1)  # one by one: on two connections they may arrive in either order
            assert c.request("PUT", "/", body=large).body == large
            settled(s, requests=2)
            c.send(c.compose("POST", "/", {"Transfer-Encoding": "chunked"}))
            for at in range(0, len(large), 10_000):
                piece = large[at : at + 10_000]
                c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            c.send(b"0\r\n\r\n")
            assert c.recv_response("POST").body == large
        settled(s, requests=3)
        assert [x.body() for x in s.b.exchanges] == [b"small", large, large]
        assert [x.method for x in s.b.exchanges] == ["POST", "PUT", "POST"]
        assert s.b.last().head.framing() == "chunked"


compare = "{service: next, max_body: 60KiB}"


def echo_body(x: Exchange) -> None:
    x.respond(x.body())


def test_a_body_that_is_too_large_is_not_copied() -> None:
    with Scenario(config("{service: next, max_body: 1KiB}"), a=Origin(said()), b=Origin(said())) as s:
        assert s.request("POST", "/", body=b"x" * 1025).status == 200
        settled(s, skipped=1)
        with s.client() as c:
            c.send(c.compose("POST", "/", {"Transfer-Encoding": "chunked"}) + chunked(*[b"x" * 600] * 2))
            assert c.recv_response("POST").status == 200
        settled(s, skipped=2)
        assert s.b.exchanges == []
        large = said(b"x" * 5000)
        s.a.behaviour = large
        s.b.behaviour = said(b"y" * 6000)
        assert s.request("POST", "/", body=b"x" * 1024).body == b"x" * 5000
        settled(s, skipped=2, requests=1)


def test_a_service_that_is_down_disturbs_nobody() -> None:
    text = config().replace("$b", "$closed")
    with Scenario(text, a=Origin(said())) as s:
        with s.client() as c:
            assert [c.get().status for _ in range(50)] == [200] * 50
        settled(s, requests=50, failed=50)
        assert nothing_under_way(s)
        assert s.lb.metric(r'lb_server_connect_failures_total\{service="next"') == 50
        assert s.lb.metric(r'lb_outcomes_total\{.*outcome="done"') == 50


def test_a_service_that_hangs_disturbs_nobody() -> None:
    # 3 s: in the 5 s below each of the 64 places is taken twice at most, so 72 copies at least are left out
    with Scenario(config(timeout="{response: 3s}"), a=Origin(said()), b=Origin(silent)) as s:
        began = time.monotonic()
        with s.client() as c:
            assert [c.get().status for _ in range(200)] == [200] * 200
        assert time.monotonic() - began < 5
        eventually(lambda: nothing_under_way(s))
        found = counts(s)
        assert found["skipped"] >= 72, "over the limit they are not sent"
        assert found["failed"] == found["requests"] == 200 - found["skipped"]


@pytest.mark.parametrize("fault", ["reset", "garbage", "half"])
def test_a_service_that_answers_badly(fault: str) -> None:
    def behave(x: Exchange) -> None:
        x.body()
        if fault == "garbage":
            x.send(b"\x00\x01 no http\r\n\r\n")
        elif fault == "half":
            x.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
        x.reset()

    with Scenario(config(), a=Origin(said()), b=Origin(behave)) as s:
        with s.client() as c:
            assert [c.get().status for _ in range(20)] == [200] * 20
        settled(s, requests=20, failed=20)
        assert nothing_under_way(s)


def test_what_the_client_or_the_first_service_broke_off_is_not_copied() -> None:
    with Scenario(config(retry="{attempts: 0}"), a=Origin(), b=Origin(said())) as s:
        s.a.take_over()
        with s.client() as c:
            c.send_request("GET", "/gone")
            x = s.a.next_request()
        assert x.dropped()
        x.finish()
        settled(s, skipped=1)
        with s.client() as c:
            c.send_request("GET", "/broken")
            s.a.next_request().reset()
            assert c.recv_response().status == 502
        settled(s, skipped=2)
        assert s.b.exchanges == []


def test_a_websocket_is_not_copied() -> None:
    def switch(x: Exchange) -> None:
        x.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        x.wire.fill()
        x.close()

    with Scenario(config(), a=Origin(switch), b=Origin(said())) as s:
        with s.client() as c:
            c.send_request("GET", "/", {"Connection": "Upgrade", "Upgrade": "websocket"})
            assert c.recv_response_head().status == 101
        s.a.behaviour = said()
        s.get()
        settled(s, requests=1)


def test_a_reload_and_a_drain_while_copies_are_under_way() -> None:
    with Scenario(config(), a=Origin(said()), b=Origin(silent)) as s:
        with s.client() as c:
            assert [c.get().status for _ in range(10)] == [200] * 10
            eventually(lambda: counts(s).get("requests_in_flight") == 10)
            s.write(config("{service: next, share: 0}"))
            eventually(lambda: s.generation() == 2)
            assert [c.get().status for _ in range(10)] == [200] * 10
        assert counts(s)["requests"] == 10, "those of before go on"
        began = time.monotonic()
        s.lb.signal(15)
        assert s.lb.wait() == 0
        assert time.monotonic() - began < 5, "a drain does not wait for copies"


def test_explain_and_check_show_it() -> None:
    with Scenario(config("{service: next, share: 12.5%}"), a=Origin(echo), b=Origin(echo)) as s:
        question = json.dumps({"method": "GET", "url": "http://x/"})
        answer = json.loads(s.lb.admin("POST", "/api/v1/explain", question)[1])
        assert answer["mirror"] == {"service": "next", "share": 0.125}
