"""The stale-extension check on a small tree, and the fallback of setup.py where no compiler works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from lb import build

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def package(tmp_path):
    """A package with three hot modules and a cold one, as compiled from what is written."""
    folder = tmp_path / "lb"
    for name, text in {
        "message.py": "A = 1\n",
        "message.pxd": "cdef int A\n",
        "plan.py": "B = 1\n",
        "http1/__init__.py": "",
        "http1/head.py": "C = 1\n",
        "proxy/exchange.py": "D = 1\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def compile_all(package):
    modules = {}
    for source in build.hot_sources(package):
        source.with_name(source.stem + EXTENSION_SUFFIXES[0]).write_bytes(b"\x7fELF")
        modules[build.module_name(source, package)] = build.digest(source)
    (package / build.RECORD).write_text(json.dumps({"reason": "", "modules": modules}))


def test_hot_are_the_rooms_and_what_has_declarations(package):
    names = [build.module_name(path, package) for path in build.hot_sources(package)]
    assert names == ["lb.http1.head", "lb.message", "lb.proxy.exchange"]


def test_a_tree_without_extensions_is_interpreted_and_never_stale(package):
    found = build.check(package)
    assert (found.kind, len(found.interpreted), found.compiled) == ("interpreted", 3, ())
    (package / "message.py").write_text("A = 2\n")
    assert build.check(package).kind == "interpreted"


def test_a_fresh_build_is_compiled(package):
    compile_all(package)
    found = build.check(package)
    assert (found.kind, len(found.compiled), found.interpreted) == ("compiled", 3, ())
    assert str(found) == "compiled (3 modules)"


@pytest.mark.parametrize("edited", ["message.py", "message.pxd"])
def test_an_edit_after_the_build_is_named(package, edited):
    compile_all(package)
    path = package / edited
    before = path.stat()
    path.write_text(path.read_text() + "#\n")
    os.utime(path, (before.st_atime, before.st_mtime))  # content counts, not the date
    with pytest.raises(build.StaleBuildError, match=r"lb\.message; run `make build`"):
        build.check(package)
    assert build.status(package).stale == ("lb.message",)


def test_a_date_without_an_edit_is_nothing(package):
    compile_all(package)
    os.utime(package / "message.py", (4e9, 4e9))
    assert build.check(package).kind == "compiled"


def test_a_new_module_among_compiled_ones_is_named(package):
    compile_all(package)
    (package / "http1" / "body.py").write_text("")
    assert build.status(package).stale == ("lb.http1.body",)


def test_an_extension_without_source_is_named(package):
    compile_all(package)
    (package / "http1" / "head.py").unlink()
    assert build.status(package).stale == ("lb.http1.head",)


@pytest.mark.parametrize("record", [None, b"", b'{"modules": {"lb.mess'])
def test_without_a_whole_record_every_extension_is_stale(package, record):
    compile_all(package)
    path = package / build.RECORD
    path.unlink() if record is None else path.write_bytes(record)
    assert len(build.status(package).stale) == 3
    assert build.status(package).kind == "stale"


def test_a_removed_declaration_changes_the_digest(package):
    before = build.digest(package / "message.py")
    (package / "message.pxd").unlink()
    assert build.digest(package / "message.py") != before


def test_a_long_list_of_stale_modules_is_cut(package):
    for number in range(9):
        (package / "http1" / f"m{number}.py").write_text("")
    compile_all(package)
    (package / build.RECORD).unlink()
    assert str(build.status(package)).startswith("stale (lb.http1.head, lb.http1.m0,")
    assert "and 7 more" in str(build.status(package))


def test_the_build_of_this_tree_is_whole():
    found = build.status()
    assert not found.stale
    assert not (found.compiled and found.interpreted)
    assert len(found.compiled + found.interpreted) == len(build.hot_sources())


def test_the_exit_status_of_the_module_says_whether_to_build():
    ran = subprocess.run(
        [sys.executable, "-m", "lb.build"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    found = build.status()
    assert ran.stdout == f"lb: {found}\n"
    assert ran.returncode == (0 if found.compiled or found.reason else 1)


def test_without_a_compiler_the_build_is_interpreted_and_says_so_once(tmp_path):
    place = tmp_path / "lib"
    command = [sys.executable, "setup.py", "--quiet", "build_ext"]
    folders = ["--build-lib", str(place), "--build-temp", str(tmp_path / "temp")]
    ran = subprocess.run(
        [*command, *folders],
        cwd=ROOT,
        env={**os.environ, "CC": "/bin/false", "LB_PURE": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("The interpreted build is used") == 1
    assert [path.name for path in place.rglob("*") if path.is_file()] == [build.RECORD]
    record = json.loads((place / "lb" / build.RECORD).read_bytes())
    assert record["modules"] == {}
    assert "no working C compiler" in record["reason"]
