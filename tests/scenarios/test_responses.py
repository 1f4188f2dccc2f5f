"""Answers of every framing, interim answers, and bodies that must not be."""

from __future__ import annotations

import pytest

from .harness import Broken, Exchange, Scenario, answer, chunked

OK = b"HTTP/1.1 200 OK\r\n"


def test_a_length(front: Scenario) -> None:
    front.a.behaviour = answer(OK + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello")
    with front.client() as c:
        for _ in range(3):
            response = c.get()
            assert (response.framing, response.body, response.get("x-a")) == (5, b"hello", "b")


def test_a_length_of_nothing(front: Scenario) -> None:
    front.a.behaviour = answer(OK + b"Content-Length: 0\r\n\r\n")
    with front.client() as c:
        for _ in range(3):
            assert (c.get().framing, c.pending) == (0, b"")


def test_chunks_with_extensions_and_trailers(front: Scenario) -> None:
    front.a.behaviour = answer(
        OK
        + b'Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5;a="b"\r\nhello\r\n6\r\n world\r\n0;c\r\nX-Sum: 42\r\n\r\n'
    )
    with front.client() as c:
        for _ in range(3):
            response = c.request("GET", "/", {"TE": "trailers"})
            assert (response.framing, response.body) == ("chunked", b"hello world")
            assert b';a="b"' not in c.received
            assert (b"x-sum", b"42") in [(k.lower(), v) for k, v in response.trailers]


def test_a_body_ended_by_close_becomes_chunked(front: Scenario) -> None:
    """So that the client's connection is kept, and an end that comes too early can be told from the end."""
    front.a.behaviour = answer(OK + b"\r\nhello", then="close")
    with front.client() as c:
        for _ in range(3):
            response = c.get()
            assert (response.framing, response.body) == ("chunked", b"hello")


def test_a_body_ended_by_close_that_says_close(front: Scenario) -> None:
    front.a.behaviour = answer(OK + b"Connection: close\r\n\r\nhello", then="close")
    with front.client() as c:
        for _ in range(2):
            response = c.get()
            assert (response.framing, response.body) == ("chunked", b"hello")
            assert "close" not in response.head.tokens("connection")


def test_an_empty_body_ended_by_close(front: Scenario) -> None:
    front.a.behaviour = answer(OK + b"\r\n", then="close")
    with front.client() as c:
        for _ in range(2):
            assert c.get().body == b""


def test_an_answer_of_http_1_0(front: Scenario) -> None:
    front.a.behaviour = answer(b"HTTP/1.0 200 OK\r\n\r\nhello", then="close")
    with front.client() as c:
        for _ in range(2):
            response = c.get()
            assert response.head.start.startswith(b"HTTP/1.1 200 ")
            assert response.body == b"hello"


def test_an_answer_of_http_1_0_with_a_length_does_not_keep_the_server_connection(front: Scenario) -> None:
    front.a.behaviour = answer(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert front.get().body == b"hello"
    first = front.a.last()
    assert front.get().body == b"hello"
    assert front.a.last().wire is not first.wire


def test_connection_close_of_the_server_is_for_its_own_connection(front: Scenario) -> None:
    front.a.behaviour = answer(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello")
    with front.client() as c:
        response = c.get()
        assert "close" not in response.head.tokens("connection")
        assert front.a.last().dropped()
        assert c.get().body == b"hello"


def test_to_http_1_0_a_body_ended_by_close_stays_so(front: Scenario) -> None:
    front.a.behaviour = answer(OK + b"\r\nhello", then="close")
    with front.client() as c:
        c.send(b"GET / HTTP/1.0\r\n\r\n")
        response = c.recv_response()
        assert (response.framing, response.body) == (None, b"hello")
        assert c.closed()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_bodies(front: Scenario, status: str) -> None:
    front.a.behaviour = answer(f'HTTP/1.1 {status}\r\nETag: "a"\r\n\r\n'.encode())
    with front.client() as c:
        for _ in range(3):
            response = c.get()
            assert f"{response.status}" == status[:3]
            assert response.get("etag") == '"a"'
        assert c.pending == b""


def test_304_keeps_the_length_of_what_it_stands_for(front: Scenario) -> None:
    front.a.behaviour = answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n")
    with front.client() as c:
        for _ in range(2):
            response = c.get()
            assert response.get("content-length") in ("100", None)


def test_205_and_others_have_bodies(front: Scenario) -> None:
    for status in (
        "201 Created",
        "206 Partial Content",
        "404 Not Found",
        "500 Internal Server Error",
        "299 Odd",
        "599 Last",
    ):
        front.a.behaviour = answer(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello".encode())
        response = front.get()
        assert (f"{response.status}", response.body) == (status[:3], b"hello")


@pytest.mark.parametrize("reason", ["", "Fine, thanks", "caf\xe9"])
def test_any_reason_phrase(front: Scenario, reason: str) -> None:
    front.a.behaviour = answer(f"HTTP/1.1 200 {reason}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
    assert front.get().status == 200


# -- interim answers
def test_early_hints_are_passed_on_at_once(front: Scenario) -> None:
    front.a.take_over()
    with front.client() as c:
        c.send_request("GET", "/")
        x = front.a.next_request()
        x.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        hint = c.recv_response_head()
        assert (hint.status, hint.get("link")) == (103, "</a.css>; rel=preload")
        assert c.silent()
        x.send(b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello")
        x.finish()
        response = c.recv_response()
        assert [i.get("link") for i in response.interim] == ["</b.css>"]
        assert response.body == b"hello"


def test_102_processing_is_passed_on(front: Scenario) -> None:
    front.a.behaviour = answer(b"HTTP/1.1 102 Processing\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n")
    assert [i.status for i in front.get().interim] == [102]


def test_http_1_0_clients_get_no_interim_answers(front: Scenario) -> None:
    """RFC 9110 15.2: MUST NOT."""
    front.a.behaviour = answer(
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello"
    )
    with front.client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = c.recv_response()
        assert (response.interim, response.body) == ([], b"hello")


# -- heads
def test_header_lines_reach_the_client_as_they_were(front: Scenario) -> None:
    fields = b"Set-Cookie: a=b\r\nset-cookie: c=d\r\nX-Odd!: 1\r\nX-Empty:\r\nX-Latin: caf\xe9\r\nSet-Cookie: e=f; Path=/\r\n"
    front.a.behaviour = answer(OK + fields + b"Content-Length: 0\r\n\r\n")
    response = front.get()
    assert response.all("set-cookie") == ["a=b", "c=d", "e=f; Path=/"]
    assert (response.get("x-odd!"), response.get("x-empty"), response.get("x-latin")) == ("1", "", "caf\xe9")


def test_a_long_answer_head(front: Scenario) -> None:
    cookies = b"".join(b"Set-Cookie: c%d=%s\r\n" % (n, b"x" * 200) for n in range(50))
    front.a.behaviour = answer(OK + cookies + b"Content-Length: 0\r\n\r\n")
    assert len(front.get().all("set-cookie")) == 50


@pytest.mark.parametrize("size", [1, 65_536, 1_000_000, 5_000_001])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_large_bodies_come_whole(front: Scenario, framing: str, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]

    def serve(x: Exchange) -> None:
        if framing == "length":
            x.respond(body)
        elif framing == "chunked":
            pieces = [body[i : i + 50_000] for i in range(0, size, 50_000)]
            x.send(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces))
        else:
            x.send(OK + b"\r\n" + body)
            x.close()

    front.a.behaviour = serve
    assert front.get().body == body


def test_many_small_chunks_come_whole(front: Scenario) -> None:
    pieces = [b"%d," % n for n in range(5000)]
    front.a.behaviour = answer(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces))
    assert front.get().body == b"".join(pieces)


@pytest.mark.parametrize("how", ["half_close", "close"])
def test_an_early_answer_to_an_upload_that_goes_on(front: Scenario, how: str) -> None:
    """The server has answered and closes; the client sees the answer, whatever becomes of its body."""

    def serve(x: Exchange) -> None:
        x.send(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
        if how == "half_close":  # the right way (RFC 9112 9.6): lb decides when to stop sending
            x.wire.half_close()
            x.dropped()
        x.close()

    front.a.behaviour = serve
    with front.client() as c:
        c.send_request("POST", "/", {"Content-Length": str(50_000_000)})
        try:
            for _ in range(50):
                if c.arrived():
                    break
                c.send(b"x" * 1_000_000)
        except OSError:
            pass
        response = c.recv_response()
        if how == "close" and response.status == 502:
            return  # RFC 9112 9.6: a close with unread bytes resets the connection and may erase the answer
        assert (response.status, response.body) == (413, b"no!")


def test_a_broken_off_answer_is_visibly_broken(front: Scenario) -> None:
    front.a.take_over()
    with front.client() as c:
        c.send_request("GET", "/")
        x = front.a.next_request()
        x.send(OK + b"Content-Length: 10\r\n\r\nhello")
        c.recv_until(b"hello")
        x.close()
        with pytest.raises(Broken):
            c.recv_exactly(5)


def test_a_broken_off_chunked_answer_is_visibly_broken(front: Scenario) -> None:
    front.a.take_over()
    with front.client() as c:
        c.send_request("GET", "/")
        x = front.a.next_request()
        x.send(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert c.recv_response_head().status == 200
        assert c.recv_chunk() == b"hello"
        x.close()
        with pytest.raises(Broken):
            c.recv_chunk()
