"""A real OTLP collector, Rotel, before a sink that reads what it passes on with OpenTelemetry's own protobuf.

Where the package rotel is not there (it has no build for this machine) the tests are skipped by name; with
CI=true they fail.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .harness import Exchange, Origin, eventually, free_address


def program() -> str:
    found = importlib.util.find_spec("rotel")
    if found is not None and found.origin is not None:
        agent = Path(found.origin).with_name("rotel-agent")
        if agent.exists():
            agent.chmod(0o755)  # not every installer keeps the mode
            return str(agent)
    missing = "there is no rotel (make install)"
    if os.environ.get("CI") == "true":
        raise FileNotFoundError(missing)
    pytest.skip(missing)


class Collector:
    """`address`: where it takes traces. `spans`: what came through so far."""

    def __init__(self, folder: Path) -> None:
        self.program = program()
        self.folder = folder
        self.address, self._held = free_address()
        self._lock = threading.Lock()
        self._spans: list[dict[str, Any]] = []
        self.sink = Origin(self._take)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}/v1/traces"

    @property
    def spans(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._spans)

    def of(self, trace: str, count: int) -> list[dict[str, Any]]:
        """The `count` spans of a trace, in the order in which they began."""

        def find() -> list[dict[str, Any]] | None:
            found = [span for span in self.spans if span["trace"] == trace]
            return found if len(found) >= count else None

        found = eventually(find, within=30, because=f"no {count} spans of {trace}: {self.spans}")
        assert len(found) == count
        return sorted(found, key=lambda span: (span["began"], span["kind"] != 2))

    def start(self) -> None:
        with (self.folder / "rotel.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program, "start", f"--otlp-http-endpoint={self.address}",
                    "--otlp-grpc-endpoint=127.0.0.1:0", f"--pid-file={self.folder}/rotel.pid",
                    f"--log-file={self.folder}/rotel-agent.log", "--exporter=otlp",
                    "--otlp-exporter-protocol=http",
                    f"--otlp-exporter-endpoint=http://{self.sink.address}",
                ],
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        eventually(self._answers, within=30, because="rotel does not come up")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def close(self) -> None:
        self.stop()
        self.sink.close()
        self._held.close()

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (
            self.folder / "rotel.log"
        ).read_text()
        host, _, port = self.address.partition(":")
        with socket.socket() as sock:
            return sock.connect_ex((host, int(port))) == 0

    def _take(self, x: Exchange) -> None:
        request = ExportTraceServiceRequest.FromString(gzip.decompress(x.body()))
        found = []
        for whole in request.resource_spans:
            resource = _read(whole.resource.attributes)
            for scope in whole.scope_spans:
                for span in scope.spans:
                    found.append({
                        "trace": span.trace_id.hex(), "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(), "name": span.name, "kind": span.kind,
                        "began": span.start_time_unix_nano, "ended": span.end_time_unix_nano,
                        "error": span.status.code == 2, "flags": span.flags, "by": resource,
                        "scope": scope.scope.name, **_read(span.attributes),
                    })  # fmt: skip
        with self._lock:
            self._spans += found
        x.respond()


def _read(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}
