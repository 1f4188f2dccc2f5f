"""Tokens that nobody can guess or make up, and sessions that stay while that is of any use."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.balancing.registry import ALGORITHMS
from lb.decisions import Select
from lb.plan import StickyPlan
from lb.upstream.service import Service
from lb.upstream.sticky import token_of
from tests.routing.making import request
from tests.upstream.making import DOWN, DRAINING, MAINTENANCE, names, say, service, state

KEY = "00112233445566778899aabbccddeeff" * 2
STICKY = StickyPlan("who", KEY)


def made(*specs: str, sticky: StickyPlan = STICKY, **more) -> Service:
    return service(*specs, sticky=sticky, **more)


def token(of: Service, name: str) -> bytes:
    return next(of.sticky.tokens[s] for s in of.servers if s.address == f"{name}:1")


# -------------------------------------------------------------------------------------------- tokens


def test_a_token_is_that_of_the_formula():
    # printf 'app\\0a:1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:… | the first 16 bytes in base64url
    assert token_of(bytes.fromhex(KEY), "app", "a:1") == b"8WYEl7xiXzH-LastFQKu2A"


def test_a_token_depends_on_key_service_and_address_and_shows_none():
    key = bytes.fromhex(KEY)
    of = {
        token_of(key, "app", "a:1"),
        token_of(key, "app", "b:1"),
        token_of(key, "api", "a:1"),
        token_of(key[::-1], "app", "a:1"),
        token_of(key, "appa", ":1"),
    }
    assert len(of) == 5 and all(re.fullmatch(rb"[A-Za-z0-9_-]{22}", each) for each in of)


def test_another_worker_and_another_generation_make_the_same():
    first, second = made("a", "b", seed=1), made("c", "b", "a", seed=2, algorithm="random")
    assert token(first, "a") == token(second, "a") and token(first, "b") == token(second, "b")


def test_a_key_that_is_none_is_refused():
    with pytest.raises(ValueError, match="app"):
        made("a", sticky=StickyPlan("who", "secret"))


# -------------------------------------------------------------------------------------- the cookie


@pytest.mark.parametrize(
    ("line", "said"),
    [("", b""), ("Cookie: who=x; a=b", b"x"), ("Cookie: a=b; WHO=x", b""), ("Cookie: who=", b"")],
)
def test_what_a_request_says(line, said):
    head = request("/", lines=line)
    assert made("a").sticky.token(head) == said


def test_the_line_is_sent_where_the_cookie_says_something_else():
    of = made("a", "b", sticky=StickyPlan("who", KEY, attributes="; Path=/x; Secure"))
    a = of.servers[0]
    line = b"Set-Cookie: who=%b; Path=/x; Secure\r\n" % token(of, "a")
    assert of.sticky.line(a, b"") == of.sticky.line(a, token(of, "b")) == of.sticky.line(a, b"?") == line
    assert of.sticky.line(a, token(of, "a")) == b""


def test_with_a_ttl_it_is_sent_always_so_that_a_session_in_use_does_not_end():
    of = made("a", sticky=StickyPlan("who", KEY, 60.0, "; Path=/; Max-Age=60"))
    line = b"Set-Cookie: who=%b; Path=/; Max-Age=60\r\n" % token(of, "a")
    assert of.sticky.line(of.servers[0], token(of, "a")) == line


# -------------------------------------------------------------------------------------- the session


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_keeps_a_session(algorithm):
    of = made("a", "b", "c", algorithm=algorithm)
    for name in "abc":
        for n in range(30):
            assert names([of.select(b"%d" % n, [], token(of, name))]) == [name]
            assert of.reason == Select.STICKY


@pytest.mark.parametrize("kept", [DRAINING, state(draining=True), state(weight=0.0), state(warm_from=1.0)])
def test_a_session_stays_on_a_server_that_gets_no_new_ones(kept):
    of = made("a", "b", slow_start=10.0)
    say(of, a=kept)
    assert names([of.select(b"", [], token(of, "a"))]) == ["a"] and of.reason == Select.STICKY
    say(of, b=DOWN)
    assert names([of.select(b"", [], token(of, "a"))]) == ["a"], "though nobody else is eligible"


@pytest.mark.parametrize("gone", [DOWN, MAINTENANCE])
def test_a_session_is_lost_with_its_server(gone):
    of = made("a", "b", "c")
    say(of, a=gone)
    assert {names([of.select(b"", [], token(of, "a"))])[0] for _ in range(9)} == {"b", "c"}
    assert of.reason == Select.STICKY_LOST
    say(of, a=None)
    assert names([of.select(b"", [], token(of, "a"))]) == ["a"], "and found again with it"


def test_a_cookie_that_names_nobody_is_lost_and_no_cookie_is_not():
    of = made("a", "b")
    assert of.select(b"", [], b"made-up") and of.reason == Select.STICKY_LOST
    assert of.select(b"", [], b"") and of.reason == Select.TURN
    other = made("a", "b", sticky=StickyPlan("who", KEY[::-1]))
    assert of.select(b"", [], token(other, "a")) and of.reason == Select.STICKY_LOST


def test_a_retry_goes_elsewhere():
    of = made("a", "b")
    a, b = of.servers
    assert of.select(b"", [a], token(of, "a")) is b and of.reason == Select.TURN
    assert of.select(b"", [a, b], token(of, "a")) in (a, b) and of.reason == Select.ALL_TRIED


def test_in_panic_sessions_stay():
    of = made("a", "b", "c", "d", panic_threshold=0.5)
    say(of, a=DOWN, b=DOWN, c=DOWN)
    assert names([of.select(b"", [], token(of, "b"))]) == ["b"] and of.reason == Select.STICKY
    assert of.select(b"", [], b"made-up") and of.reason == Select.PANIC


def test_sessions_of_a_backup_stay_on_it():
    of = made("a", "b backup", "c p1")
    for name in "abc":
        assert names([of.select(b"", [], token(of, name))]) == [name]


WORD = st.sampled_from([None, DOWN, DRAINING, MAINTENANCE])


@given(words=st.lists(WORD, min_size=1, max_size=5), cookie=st.integers(0, 5), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_session_goes_where_it_was_or_where_others_go(words, cookie, data):
    specs = [f"s{n}{data.draw(st.sampled_from(['', ' p1', ' backup']))}" for n in range(len(words))]
    of = made(*specs)
    say(of, **{f"s{n}": word for n, word in enumerate(words)})
    sent = token(of, f"s{cookie}") if cookie < len(words) else b"gone"
    tried = data.draw(st.lists(st.sampled_from(of.servers), max_size=3, unique=True))
    found = of.select(b"", tried, sent)
    own = of.servers[cookie] if cookie < len(words) else None
    stays = own is not None and own not in tried and words[cookie] in (None, DRAINING)
    if stays:
        assert found is own and of.reason == Select.STICKY
    else:
        assert of.reason != Select.STICKY
        if found is None:
            assert all(word is not None for word in words) and of.reason == Select.NOT_ELIGIBLE
        else:
            assert words[of.servers.index(found)] is None
            assert (of.reason == Select.STICKY_LOST) is (not tried)
