"""The endpoints of the cluster: who may publish what over which revision, and what is said where it fails."""

import pytest

from lb.admin.view import ClusterAnswer
from lb.cluster.records import Stage

PATH = "/api/v1/cluster"


def test_a_push_says_what_it_takes_the_place_of(ask, control):
    for given, base in (('"1"', 1), ("1", 1), ("*", None)):
        reply = ask(
            "POST", f"{PATH}/push?author=ada&message=why%0Anot&file=a.yaml", data=b"routes: {}",
            headers={"If-Match": given},
        )  # fmt: skip
        assert (reply.status, reply.json()) == (200, {"revision": 2, "message": ""})
        assert control.cluster.orders.pop() == ("push", b"routes: {}", base, "a.yaml", "ada", "why not", None)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [({}, b"a", 428), ({"If-Match": "x"}, b"a", 400), ({"If-Match": "*"}, b" \n", 400),
     ({"If-Match": "*"}, b"#" * (16 * 2**20 + 1), 413)],
)  # fmt: skip
def test_a_push_that_cannot_be_meant_reaches_nobody(ask, control, headers, body, status):
    assert ask("POST", f"{PATH}/push", data=body, headers=headers).status == status
    assert control.cluster.orders == []


@pytest.mark.parametrize(
    ("error", "status"),
    [("conflict", 409), ("invalid_configuration", 422), ("no_leader", 503), ("engine_away", 503),
     ("late", 503), ("corrupt", 404)],
)  # fmt: skip
def test_what_the_leader_refuses_has_a_status(ask, control, error, status):
    problem = {"file": "a", "line": 1, "column": 2, "path": "routes", "message": "no"}
    control.cluster.said = ClusterAnswer(error, "because", 7, [problem])
    reply = ask("POST", f"{PATH}/rollback/1")
    assert reply.status == status
    found = reply.json()
    assert (found["error"], found["message"], found["revision"]) == (error, "because", 7)
    assert found["problems"] == [problem]


def test_rollback_and_resign(ask, control):
    assert ask("POST", f"{PATH}/rollback/1?author=ada", headers={"If-Match": "5"}).status == 200
    assert ask("POST", f"{PATH}/resign?author=ada").status == 200
    assert control.cluster.orders == [("rollback", 1, 5, "ada", ""), ("resign", "ada")]
    assert ask("POST", f"{PATH}/rollback/one").status == 404


def test_a_push_to_some_nodes_first(ask, control):
    reply = ask(
        "POST", f"{PATH}/push?first=lb-1,lb-2,lb-1&watch=90s&errors=0.5%25&latency=1.5&requests=20",
        data=b"routes: {}", headers={"If-Match": "1"},
    )  # fmt: skip
    assert reply.status == 200
    assert control.cluster.orders.pop()[-1] == Stage(
        first=["lb-1", "lb-2"], watch=90.0, errors=0.005, latency=1.5, requests=20
    )
    ask("POST", f"{PATH}/push?first=lb-1", data=b"routes: {}", headers={"If-Match": "1"})
    assert control.cluster.orders.pop()[-1] == Stage(first=["lb-1"])


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("first=", "names of nodes"),
        ("first=a%20b", "names of nodes"),
        ("first=a,,b", "names of nodes"),
        ("watch=5m", "no effect without first"),
        ("first=a&watch=5", "expected a duration"),
        ("first=a&watch=25h", "1s to 24h"),
        ("first=a&watch=10ms", "1s to 24h"),
        ("first=a&errors=1", "a share such as 1%"),
        ("first=a&errors=101%25", "a share"),
        ("first=a&latency=0.5", "from 1 to 999"),
        ("first=a&latency=nan", "from 1"),
        ("first=a&requests=-1", "a number of requests"),
        ("first=" + ",".join(f"n{n}" for n in range(101)), "at most 100"),
    ],
)
def test_a_rollout_that_cannot_be_meant(ask, control, query, word):
    reply = ask("POST", f"{PATH}/push?{query}", data=b"a", headers={"If-Match": "1"})
    assert reply.status == 400
    assert word in reply.json()["message"]
    assert control.cluster.orders == []


def test_a_rollout_is_ended_by_hand(ask, control):
    assert ask("POST", f"{PATH}/promote?author=ada", headers={"If-Match": "5"}).status == 200
    assert ask("POST", f"{PATH}/abort?author=ada&message=no").status == 200
    assert control.cluster.orders == [("promote", 5, "ada", ""), ("abort", None, "ada", "no")]
    control.cluster.said = ClusterAnswer("no_rollout", "no rollout is under way")
    assert ask("POST", f"{PATH}/abort").status == 409


def test_documents_and_differences(ask):
    reply = ask("GET", f"{PATH}/revisions/1")
    assert (reply.body, reply.headers["ETag"]) == (b"routes: {}\n", '"1"')
    assert ask("GET", f"{PATH}/revisions/9").status == 404
    assert ask("GET", f"{PATH}/diff/1/9").status == 404
    assert ask("GET", f"{PATH}/diff/1/1").body == b"--- a\n"


def test_an_engine_that_is_away_is_said(ask, control):
    control.cluster.away = True
    reply = ask("GET", f"{PATH}/history")
    assert (reply.status, reply.json()["error"]) == (503, "engine_away")


def test_without_a_cluster_there_is_none(ask, control):
    control.cluster = None
    assert ask("GET", PATH).json()["error"] == "no_cluster"
    assert ask("POST", f"{PATH}/push", data=b"a").status == 404
