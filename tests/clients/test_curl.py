"""curl through lb."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from .conftest import program
from .site import LARGE


def curl(*args: str, data: bytes | None = None) -> bytes:
    done = subprocess.run(
        [program("curl"), "-sS", "--max-time", "30", "--noproxy", "*", *args],
        input=data,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_get(url: str) -> None:
    got = json.loads(curl(f"{url}/say/x?y=z", "-H", "X-A: b"))
    assert (got["method"], got["path"], got["headers"]["X-A"]) == ("GET", "/say/x?y=z", "b")


def test_head(url: str) -> None:
    assert curl("-I", f"{url}/say").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_versions(url: str, version: str) -> None:
    """--http2 asks to upgrade to h2c, which is not passed on: the answer is plain HTTP/1.1."""
    got = json.loads(curl(version, f"{url}/say"))
    assert "HTTP2-Settings" not in got["headers"]


def test_upload_with_a_length_and_expect(url: str, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(LARGE)
    wanted = hashlib.sha256(LARGE).hexdigest().encode()
    assert curl("-T", str(file), "-H", "Expect: 100-continue", f"{url}/digest") == wanted


def test_chunked_upload(url: str) -> None:
    assert curl("-T", "-", f"{url}/digest", data=LARGE) == hashlib.sha256(LARGE).hexdigest().encode()


def test_large_download(url: str) -> None:
    assert hashlib.sha256(curl(f"{url}/large")).digest() == hashlib.sha256(LARGE).digest()


def test_form_post(url: str) -> None:
    got = json.loads(curl("-d", "a=b&c=d", f"{url}/say"))
    assert (got["method"], got["body"]) == ("POST", "a=b&c=d")


def test_many_on_one_connection(url: str) -> None:
    out = curl("-w", "%{num_connects}\n", "-o", "/dev/null", f"{url}/text/[1-20]")
    assert sum(int(n) for n in out.split()) == 1


def test_parallel(url: str) -> None:
    out = curl("-Z", "--parallel-max", "20", "-w", "%{http_code}\n", "-o", "/dev/null", f"{url}/text/[1-200]")
    assert out.split() == [b"200"] * 200


def test_options_asterisk_reaches_the_server(url: str) -> None:
    code = curl("-X", "OPTIONS", "--request-target", "*", "-o", "/dev/null", "-w", "%{http_code}", url)
    assert code in (b"200", b"404", b"405")


def test_as_a_proxy_in_absolute_form(url: str) -> None:
    done = curl("--proxy", url, "--noproxy", "", "http://site.test/say/absolute")
    got = json.loads(done)
    assert (got["path"], got["headers"]["Host"]) == ("/say/absolute", "site.test")


def test_connect_is_refused(url: str) -> None:
    done = subprocess.run(
        [program("curl"), "-sS", "--max-time", "10", "--proxytunnel", "--proxy", url, "-w", "%{http_connect}", "http://site.test/"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stdout == b"405"
