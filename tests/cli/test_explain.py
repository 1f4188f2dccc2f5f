"""`lb explain` on a file and on a running lb."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.conftest import PYTHON, ROOT, config

ROUTES = """
  - {name: shop, match: {host: shop.example.com}, service: app, mirror: {service: other, share: 2.5%}}
  - {name: beta, match: {host: shop.example.com, header: {x-beta: "1"}}, split: [{service: app, weight: 9}, {service: other, weight: 1}]}
  - {name: old, match: {path_prefix: /old}, redirect: {to: "https://new.example.com${path}", status: 301}}
  - {name: cart, match: {method: POST, path: /cart}, respond: {status: 418}}
"""  # noqa: E501
TEXT = (
    config(["127.0.0.1:9001"], routes=ROUTES)
    .replace("services: {app: ['127.0.0.1:9001']}", "")
    .replace(
        'services: {app: ["127.0.0.1:9001"]}',
        """services:
  app:
    algorithm: {name: consistent_hash, key: "header:x-user"}
    servers: ["127.0.0.1:9001", "127.0.0.1:9002", {address: "127.0.0.1:9003", backup: true}]
  other: ["127.0.0.1:9004"]""",
    )
)


def explain(*args):
    return subprocess.run(
        [*PYTHON, "explain", *args], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "lb.yaml"
    made.write_text(TEXT)
    return str(made)


def test_it_says_who_won_and_why_the_others_lost(path):
    ended = explain(path, "GET", "http://shop.example.com/cart", "-H", "x-user: 7")
    assert ended.returncode == 0, ended.stderr
    lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert "✗ beta header x-beta wants 1, found (absent)" in lines
    assert "✓ shop wins" in lines
    assert "✗ cart method wants POST, found GET" in lines
    assert "✗ old path_prefix wants /old, found /cart" in lines
    assert "service app, consistent_hash by header:x-user = '7'" in lines
    assert "mirror 2.5% of the requests go to other too" in lines
    assert "servers, score: place in the order of the key; the lowest is best" in lines
    assert any(line.startswith("try 2: 127.0.0.1:900") for line in lines)
    assert "time-outs connect 2 s, response 30 s, idle 60 s" in lines
    assert "✗ 127.0.0.1:9003 weight 1, 0 in flight, backup: another server is eligible" in lines
    assert any(line.startswith("pick 127.0.0.1:900") and line.endswith("owner of the key") for line in lines)
    assert "\x1b" not in ended.stdout


def test_a_route_that_matches_too_is_shown_as_second(path):
    ended = explain(path, "GET", "http://shop.example.com/", "-H", "X-Beta: 1", "--json")
    answer = json.loads(ended.stdout)
    assert answer["route"] == "beta"
    assert [(each["route"], each["won"], bool(each["misses"])) for each in answer["routes"]][:2] == [
        ("beta", True, False), ("shop", False, False),
    ]  # fmt: skip
    assert answer["split"] == [{"service": "app", "share": 0.9}, {"service": "other", "share": 0.1}]
    assert answer["pick"] in {server["address"] for server in answer["servers"] if server["eligible"]}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("GET", "http://x/old/1"), "redirect 301 to https://new.example.com${path}"),
        (("POST", "http://x/cart"), "the fixed response, 418"),
        (("GET", "http://x/nowhere"), "404: no route matches"),
    ],
)
def test_it_says_what_lb_answers_by_itself(path, args, said):
    ended = explain(path, *args)
    assert ended.returncode == 0
    assert said in ended.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("GET", "shop.example.com/"), "write http://shop.example.com/"),
        (("GET", "http://x/ä"), "only ASCII goes over the wire"),
        (("CONNECT", "http://x/"), "lb would refuse this request with 405"),
        (("GET", "/path"), "a path alone has no host"),
        (("GET", "http://x/", "-H", "no colon"), 'write it like "x-beta: 1"'),
        (("GET", "http://x/", "--listener", "tls"), "there is no listener tls; there are: web"),
        (("GET", "http://x/", "extra"), "expected [CONFIG] METHOD URL"),
    ],
)
def test_a_question_without_sense_is_exit_2(path, args, said):
    ended = explain(path, *args)
    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.replace("│", " ").split())
    assert ended.stdout == ""


def test_a_bad_file_is_exit_1(tmp_path):
    ended = explain(str(tmp_path / "none.yaml"), "GET", "http://x/")
    assert ended.returncode == 1
    assert "there is no such file" in ended.stderr


def test_a_running_lb_is_asked_for_what_it_runs(start_lb, tmp_path):
    lb = start_lb(TEXT)
    ended = explain(
        "--admin", f"http://127.0.0.1:{lb.admin}", "GET", "http://shop.example.com/", "-H", "x-user: 7"
    )
    assert ended.returncode == 0, ended.stderr
    assert "owner of the key" in ended.stdout
    (tmp_path / "new.yaml").write_text(
        TEXT.replace("name: shop, match", "name: shop, retry: {attempts: 3}, match")
    )
    asked = (
        str(tmp_path / "new.yaml"),
        "--admin",
        f"http://127.0.0.1:{lb.admin}",
        "GET",
        "http://shop.example.com/",
    )
    both = explain(*asked)
    assert "differs from the running generation 1 in" in both.stdout, both.stderr
    assert "retries.attempts: 1 → 3" in both.stdout
    found = json.loads(explain(*asked, "--json").stdout)
    assert [one["field"] for one in found["differs"]] == ["retries.attempts"]
    assert found["candidate"]["route"] == found["running"]["route"] == "shop"
    ended = explain("--admin", f"http://127.0.0.1:{lb.admin}", "CONNECT", "http://shop.example.com/")
    assert ended.returncode == 2
    assert "lb would refuse this request with 405" in ended.stderr


def test_nobody_at_the_admin_address_is_exit_4(free_port):
    ended = explain("--admin", f"http://127.0.0.1:{free_port}", "GET", "http://x/")
    assert ended.returncode == 4
    assert "is lb running" in ended.stderr
