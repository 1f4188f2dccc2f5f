"""Requests through what an import made: the codec, the table and the rewrites that serve clients."""

from __future__ import annotations

from pathlib import Path

from lb.admin.view import Question
from lb.config import lint, read
from lb.control.explain import explain
from lb.control.planning import make_plan
from lb.routing.rewrites import Rewrite
from lb.telemetry.cells import Cells
from lb.telemetry.layout import REGION
from lb.telemetry.ledger import Ledger

SAMPLES = Path(__file__).parent / "samples"


class Routed:
    """A draft as lb has it when it runs, read as `lb check` reads it."""

    def __init__(self, draft, folder):
        self.draft = draft
        file = folder / "lb.yaml"
        file.write_text(draft.text())
        loaded = read(file, {})
        assert [str(one) for one in lint(loaded.spec, loaded.merged) if one.severity == "error"] == []
        self.spec = loaded.spec
        self.plan = make_plan(loaded.spec, 1, Ledger())
        self._cells = Cells(-1, 0, 1, REGION)

    def explained(self, method, url, client="203.0.113.9", listener="", **headers):
        lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return explain(self.plan, Question(method, url, lines, client, listener), self._cells)

    def ask(self, method, url, **more):
        """What becomes of a request: (service, target there), (status, location) or (status, "")."""
        found = self.explained(method, url, **more)
        if found["action"] != "forward":
            return found["status"], found.get("to", "")
        path = found["request"]["target"].encode()
        rewrite = next(one.rewrite for one in self.plan.routes if one.name == found["route"])
        return found["service"], (Rewrite(rewrite).target(path, None) if rewrite else path).decode()

    def route(self, method, url, **more):
        name = self.explained(method, url, **more)["route"]
        return next(one for one in self.spec.routes if one.name == name)


def directives(gaps):
    """(line, directive) of each."""
    return [(gap.line, gap.directive) for gap in sorted(gaps, key=lambda gap: gap.line)]
