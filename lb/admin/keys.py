"""What the admin application carries: the typed keys to it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from lb.admin.view import ControlView
from lb.telemetry.metrics import Metrics

# web.AppKey wants a class at run time; ControlView is a Protocol, so the key is typed by annotation.
CONTROL: web.AppKey[ControlView] = web.AppKey("control", object)  # type: ignore[arg-type]
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
NAMES = "names"  # of a request: what its path names
STREAMS: web.AppKey[set[Callable[[], None]]] = web.AppKey("streams", set)  # each ends one stream
