"""Every YAML block of the pages loads, without findings.

A block that is a part of a file is completed: keys of a service or of a route are put into one; a listener,
a service and a route are added where there are none. Files below /run/secrets are made, and so are the
modules of algorithms of one's own (what those do: tests/balancing/test_docs.py). What is no configuration of
lb has `<!-- not lb's -->` on the line before.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from lb.config import lint, read
from lb.config.routes import RouteSpec
from lb.config.services import ServiceSpec
from lb.config.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "docker" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not lb's -->\n)?^( *)```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks():
    for page in PAGES:
        text = page.read_text()
        for found in BLOCK.finditer(text):
            if not found[1]:
                line = text.count("\n", 0, found.start(3)) + 1
                yield pytest.param(found[3], id=f"{page.relative_to(ROOT)}:{line}")


def completed(text: str) -> dict[str, object]:
    given = yaml.safe_load(text)
    assert isinstance(given, dict), "a mapping, or mark it as not lb's"
    if not given.keys() <= set(Spec.keys):
        if given.keys() <= set(ServiceSpec.keys):
            given = {"services": {"app": {"servers": ["127.0.0.1:9001"], **given}}}
        elif given.keys() <= set(RouteSpec.keys):
            given = {"routes": [{"name": "all", "service": "app", **given}]}
    given.setdefault("listeners", [":8080"])
    routes = given.get("routes", [])
    named = {"app"} if not isinstance(routes, list) else set()
    for route in routes if isinstance(routes, list) else ():
        named |= {route.get("service"), *(part["service"] for part in route.get("split", ()))} - {None}
        named |= {route["mirror"]["service"]} if "mirror" in route else set()
    services = given.setdefault("services", {name: ["127.0.0.1:9001"] for name in named or {"app"}})
    if "routes" not in given:
        given["routes"] = [
            {"name": name, "service": name, "match": {"path_prefix": f"/{at}"}}
            for at, name in enumerate(services)
        ]
    for test in given.get("tests", ()):
        name = test["expect"]["route"]
        if name and name not in [route["name"] for route in given["routes"]]:
            host = re.split("[:/]+", test["request"])[1]
            given["routes"].append(
                {"name": name, "service": next(iter(services)), "match": {"host": host, "path_prefix": "/v1"}}
            )
            services.setdefault(name, ["127.0.0.1:9001"])
            given["routes"][-1]["service"] = test["expect"].get("service", name)
    return given


ALGORITHM = """from lb.balancing.contract import Balancer
class {name}(Balancer):
    OPTIONS = frozenset({options})
    def pick(self, key, tried): return None
"""


@pytest.mark.parametrize("text", list(blocks()))
def test_it_loads_without_findings(text, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for package, module, name in re.findall(r"\b(my\w+)\.(\w+):(\w+)", text):
        (tmp_path / package).mkdir()
        options = tuple(re.findall(r"options: \{(\w+):", text))
        (tmp_path / package / f"{module}.py").write_text(ALGORITHM.format(name=name, options=options))
    for place in set(re.findall(r"/run/secrets/[\w.-]+", text)):
        (tmp_path / Path(place).name).write_text("a-secret-of-more-than-thirty-two-bytes\n")
    whole = yaml.safe_dump(completed(text.replace("/run/secrets", str(tmp_path))), sort_keys=False)
    file = tmp_path / "lb.yaml"
    file.write_text(whole)
    try:
        loaded = read(file, {})
        found = [str(problem) for problem in lint(loaded.spec, loaded.merged)]
    finally:
        for name in [name for name in sys.modules if name.startswith(("mypackage", "mycompany"))]:
            del sys.modules[name]  # other tests have their own of these names
    assert found == []
