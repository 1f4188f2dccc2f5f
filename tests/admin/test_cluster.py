"""The endpoints of the cluster: who may publish what over which revision, and what is said where it fails."""

import pytest

from lb.admin.view import ClusterAnswer

PATH = "/api/v1/cluster"


def test_a_push_says_what_it_takes_the_place_of(ask, control):
    for given, base in (('"1"', 1), ("1", 1), ("*", None)):
        reply = ask(
            "POST", f"{PATH}/push?author=ada&message=why%0Anot&file=a.yaml", data=b"routes: {}",
            headers={"If-Match": given},
        )  # fmt: skip
        assert (reply.status, reply.json()) == (200, {"revision": 2, "message": ""})
        assert control.cluster.orders.pop() == ("push", b"routes: {}", base, "a.yaml", "ada", "why not")


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
