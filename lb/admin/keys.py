"""What the admin application carries: the typed keys to it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from lb.admin.view import ControlView
from lb.telemetry.metrics import Metrics


class Streams(set[Callable[[], None]]):
    """Functions that each end one stream of events."""


# web.AppKey wants a class at run time; ControlView is a Protocol, so the key is typed by annotation.
CONTROL: web.AppKey[ControlView] = web.AppKey("control", object)  # type: ignore[arg-type]
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
STREAMS: web.AppKey[Streams] = web.AppKey("streams", Streams)
