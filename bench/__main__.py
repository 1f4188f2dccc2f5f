"""`python -m bench`: install, run, print, save. Options below; `bench/README.md` says how to read it."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bench import install
from bench.loads import LOADS
from bench.places import OTHER_CORE, PROXY_CORE, RESULTS, ROOT
from bench.proxies import PROXIES
from bench.report import markdown
from bench.session import Session

OTHER_LB = "lb-other"


def _chosen(registry: Sequence[str], what: str) -> Any:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in registry]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {what} {unknown[0]!r}; there are {', '.join(registry)}")
        return names

    return parse


def _checkout(text: str) -> Path:
    path = Path(text).resolve()
    if not (path / "lb" / "__main__.py").exists():
        raise argparse.ArgumentTypeError(f"no checkout of lb at {text}")
    return path


def options(arguments: Sequence[str], program: str = "bench") -> argparse.Namespace:
    """Parse the command line. Exits with 2 and a message when it is wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description="lb beside other proxies")
    parser.add_argument("--proxies", type=_chosen(list(PROXIES), "proxy"), default=list(PROXIES))
    parser.add_argument("--loads", type=_chosen(list(LOADS), "load"), default=list(LOADS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of the measured part of a run")
    parser.add_argument("--lb", type=_checkout, default=ROOT, help="the checkout whose lb is run")
    parser.add_argument("--other-lb", type=_checkout, help="a second checkout beside it: before and after")
    parser.add_argument("--name", default="results", help="of the files in bench/results/")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str], program: str = "bench") -> int:
    """Run the benchmark. Returns 0, or 1 when a run failed or a response was wrong."""
    chosen = options(arguments, program)
    if not {PROXY_CORE, OTHER_CORE} <= os.sched_getaffinity(0):
        sys.exit("bench: needs two cores, one for the proxy and one for everything else")
    signal.signal(signal.SIGTERM, _interrupt)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    install.compile_traffic()
    programs, missing = install.programs(chosen.proxies, chosen.lb)
    for name, reason in missing.items():
        print(f"bench: {name} is left out. {reason}", file=sys.stderr)
    versions = {name: install.version(name, path) for name, path in programs.items()}
    if chosen.other_lb:
        programs[OTHER_LB] = str(chosen.other_lb)
        versions[OTHER_LB] = install.version("lb", programs[OTHER_LB])
    if not programs:
        sys.exit("bench: no proxy is left to run")
    os.sched_setaffinity(0, {OTHER_CORE})
    session = Session([LOADS[name] for name in chosen.loads], programs, chosen.rounds, chosen.seconds)
    try:
        session.run()
    except KeyboardInterrupt:
        print("bench: stopped; what was complete is reported", file=sys.stderr)
    if not session.runs:
        print("\n".join(["bench: no run was complete", *session.problems]), file=sys.stderr)
        return 1
    return _save(session, versions, missing, chosen.name)


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _save(session: Session, versions: dict[str, str], missing: dict[str, str], name: str) -> int:
    record = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": _machine(),
        "rounds": session.rounds,
        "seconds": session.seconds,
        "loads": [load.name for load in session.loads],
        "versions": versions,
        "missing": missing,
        "problems": session.problems,
        "runs": session.runs,
    }
    RESULTS.mkdir(exist_ok=True)
    data = RESULTS / f"{name}.json"
    data.write_text(json.dumps(record, indent=1) + "\n")
    text = markdown(record)
    data.with_suffix(".md").write_text(text)
    print(text)
    _draw(data)
    failed = sum(sum(run["failures"].values()) for run in session.runs)
    return 1 if failed or session.problems else 0


def _draw(data: Path) -> None:
    python = install.drawing_python()
    if not python:
        print("bench: no picture: matplotlib could not be installed", file=sys.stderr)
        return
    picture = data.with_suffix(".png")
    command = [python, "-m", "bench.picture", str(data), str(picture)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    print(f"bench: {data.with_suffix('.md')}, {data.name}, {picture.name}", file=sys.stderr)


def _machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
