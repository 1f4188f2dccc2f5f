"""The admin API of a running lb answers as docs/openapi.json says, whatever it is asked: by schemathesis.

Not asked: what is described as a stream (`x-stream`), because its answer has no end. The server-sent events of
/api/v1/events come only where they are asked for by Accept; they are tested in tests/admin/test_events.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from lb.admin.openapi import document

from .harness import Scenario

DOCUMENT = document()
STREAMS = {
    operation["operationId"]: operation["x-stream"]
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
    if "x-stream" in operation
}
# A leader that is alone waits for somebody to take its place: tests/scenarios/test_cluster.py.
SLOW = ["post_cluster_resign"]
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(operation_id=[*STREAMS, *SLOW])
# Not checked: that all that the schema allows is accepted (a URL, a duration, a revision has rules of its own,
# whose errors are in the document); that there is no 503 (a leader may be away; 500 is looked for below); that
# a missing If-Match is answered by 400, not by 428 (RFC 6585; tests/admin/test_cluster.py).
NAMES = ("positive_data_acceptance", "not_a_server_error", "missing_required_header")
LEFT_OUT = [CHECKS.get_one(name) for name in NAMES]
CLUSTERED = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: [{name: all, service: app}]
state_dir: "$dir/state"
cluster: {engine: local, name: front, local: {folder: "$dir/shared"}}
"""


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    with Scenario(CLUSTERED) as s:
        yield f"http://{s.names['admin']}"


@SCHEMA.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_it_answers_as_documented(case, admin):
    response = case.call(base_url=admin)
    assert response.status_code != 500, response.text
    case.validate_response(response, excluded_checks=LEFT_OUT)
