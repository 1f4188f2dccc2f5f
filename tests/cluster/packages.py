"""Fetch the real engines that the tests start: packages of Debian, unpacked into a cache, not installed.

`python -m tests.cluster.packages` prints the folders. Consul is in Debian 11 only. The mirror is the one that
this machine's own apt sources name; apt checks the signatures. The caches are `$XDG_CACHE_HOME/lb-engines`,
`…/lb-prometheus` and `…/lb-proxies` (or below `~/.cache`); what is there is not fetched again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONSUL_FROM = "bullseye"
ENGINES = "lb-engines"
PROMETHEUS = "lb-prometheus"
PROXIES = "lb-proxies"
FOLDERS = {
    ENGINES: {
        CONSUL_FROM: ["consul"],
        "bookworm": [
            "etcd-server", "libatomic1", "libcommons-cli-java", "libdropwizard-metrics-java",
            "libjackson2-core-java", "libjemalloc2", "liblog4j1.2-java", "liblua5.1-0", "liblzf1",
            "libnetty-java", "libnetty-tcnative-java", "libslf4j-java", "libsnappy-java", "libzookeeper-java",
            "lua-bitop", "lua-cjson", "redis-server", "redis-tools", "zookeeper",
        ],
    },
    PROMETHEUS: {"bookworm": ["prometheus"]},
    PROXIES: {
        "bookworm": [
            "haproxy", "libcap2", "libgcrypt20", "libgpg-error0", "liblua5.3-0", "liblz4-1",
            "libopentracing-c-wrapper0", "libopentracing1", "libpcre2-8-0", "libsystemd0", "libzstd1",
            "nginx",
        ],
    },
}  # fmt: skip
SOURCES = Path("/etc/apt")
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MIRROR = re.compile(r"^(?:URIs:\s*|deb\s+(?:\[[^]]*]\s+)?)(https?://\S+/debian)/?(?:\s|$)", re.MULTILINE)


def cache(folder: str = ENGINES) -> Path:
    """Where the unpacked packages of one of FOLDERS are; need not exist."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / folder


def mirror() -> str:
    """Raises LookupError where apt of this machine knows none of Debian."""
    files = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    for file in files:
        if file.is_file() and (found := _MIRROR.search(file.read_text(errors="replace"))):
            return found[1]
    raise LookupError(f"no sources list below {SOURCES} names a mirror of Debian")


def fetch(folder: Path, suites: dict[str, list[str]]) -> None:
    """Packages by suite, whole or not at all. Raises LookupError, OSError and CalledProcessError."""
    address = mirror()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        work = Path(name)
        for part in ("root", "packages", "state/lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True)
        (work / "state/status").touch()
        lines = (f"deb [signed-by={KEYS}] {address} {suite} main\n" for suite in suites)
        (work / "sources.list").write_text("".join(lines))
        options = {
            "Dir::Etc::SourceList": work / "sources.list", "Dir::Etc::SourceParts": "-",
            "Dir::State": work / "state", "Dir::State::status": work / "state/status",
            "Dir::Cache": work / "cache", "APT::Sandbox::User": "root", "Acquire::Languages": "none",
            "Acquire::Retries": 3, "Acquire::Check-Valid-Until": "false",
        }  # fmt: skip
        apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items())]
        subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
        for suite, packages in suites.items():
            wanted = [f"{package}/{suite}" for package in packages]
            subprocess.run([*apt, "download", *wanted], check=True, cwd=work / "packages", stdout=sys.stderr)
        for file in sorted((work / "packages").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", file, work / "root"], check=True)
        (work / "root").chmod(0o755)
        shutil.move(work / "root", folder)


if __name__ == "__main__":
    for name, packages in FOLDERS.items():
        if not cache(name).is_dir():
            try:
                fetch(cache(name), packages)
            except (LookupError, OSError, subprocess.CalledProcessError) as error:
                sys.exit(f"{name} cannot be had, the tests with it are skipped: {error}")
        print(cache(name))
