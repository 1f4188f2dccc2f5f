"""`lb import`: YAML on stdout, what did not map on stderr, and the exit code."""

from __future__ import annotations

import subprocess

from tests.cli.conftest import PYTHON, ROOT

SAMPLES = ROOT / "tests" / "importing" / "samples"
WHOLE = """frontend www
    mode http
    bind :80
    default_backend app
backend app
    mode http
    server a 10.0.0.1:80
"""


def lb(*args):
    return subprocess.run([*PYTHON, *args], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_what_did_not_map_is_on_stderr_and_the_rest_passes_the_check(tmp_path):
    for name in ("shop.nginx.conf", "edge.haproxy.cfg"):
        source = SAMPLES / name
        ended = lb("import", str(source))
        assert ended.returncode == 7, ended.stderr
        lines = ended.stderr.splitlines()
        assert any(line.startswith(f"not mapped: {source}:") for line in lines)
        assert any(line.startswith(f"differs: {source}:") for line in lines)
        file = tmp_path / "lb.yaml"
        file.write_text(ended.stdout)
        checked = lb("check", str(file))
        assert checked.returncode == 0, checked.stderr


def test_nothing_on_stderr_where_all_of_it_mapped(tmp_path):
    source = tmp_path / "haproxy.cfg"
    source.write_text(WHOLE)
    ended = lb("import", str(source))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_cannot_be_read_has_a_sentence(tmp_path):
    ended = lb("import", str(tmp_path / "none.conf"))
    assert ended.returncode == 1
    assert ended.stderr.endswith("none.conf: cannot be read: No such file or directory\n")
