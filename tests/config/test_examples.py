"""Every file in config/ loads, has no findings, and says what it is for."""

from pathlib import Path

import pytest

from lb.config import lint, read
from lb.config.reference import with_reference
from lb.config.schema import sections
from lb.config.section import Section
from lb.config.spec import Spec

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_loads_without_findings(path):
    loaded = read(path, {})
    assert [str(problem) for problem in lint(loaded.spec, loaded.merged)] == []


def test_quickstart_is_what_make_run_needs():
    spec = read(ROOT / "config" / "quickstart.yaml", {}).spec
    assert [listener.bind for listener in spec.listeners] == [("127.0.0.1:8080",)]
    assert spec.admin.bind == "127.0.0.1:9900"
    assert [server.address for service in spec.services.values() for server in service.servers] == [
        f"127.0.0.1:{port}" for port in (9001, 9002, 9003)
    ]


def test_full_has_every_key():
    """Every key that is supported stands in config/full.yaml, uncommented."""
    import re

    text = "\n".join(
        line.partition(" # ")[0] for line in (ROOT / "config" / "full.yaml").read_text().splitlines()
    )
    written = set(re.findall(r"[\w]+(?=:)", text))
    # A class's own options, the long form of an exact predicate, other sources of servers, and files that not
    # every machine has, are
    # in docs/configuration.md.
    elsewhere = {
        "options",
        "exact",
        "secret",
        "debug_key",
        "file",
        "ca",
        "cert",
        "key",
        "token",
        "provider",
        "dns",
        "records",
        "prepared_query",
    }
    # So are the engines of a cluster but the one that needs none.
    elsewhere |= {"user", "password", "consul", "etcd", "zookeeper", "redis"}
    elsewhere |= {"address", "endpoints", "servers", "url", "tls"}
    missing = {key for model in sections() for key in model.keys} - written - elsewhere
    assert missing == set()


def test_the_reference_page_is_up_to_date():
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert page == with_reference(page), "run: python -m lb.config.reference docs/configuration.md"


def test_the_page_names_what_is_refused():
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    later = [key for model in sections() for key in model.later]
    assert len(later) >= 2
    assert all(f"{key}` |" in page for key in later)


def test_sections_are_all_sections():
    def below(kind):
        return {kind, *(found for inner in kind.__subclasses__() for found in below(inner))}

    assert set(sections()) == below(Section) - {Section}
    assert sections()[0] is Spec
