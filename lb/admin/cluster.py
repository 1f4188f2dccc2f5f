"""The endpoints of the cluster: what its nodes run, what was published, and publishing.

Lives here: from bodies, paths and headers to orders. Must not live here: publishing (lb.cluster).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import web

from lb.admin.answers import answer, failure, large
from lb.admin.keys import CONTROL
from lb.admin.staging import stage_of
from lb.admin.view import ClusterAnswer, ClusterView, Unavailable
from lb.cluster.shared import MOST_BYTES

CODES = {
    "conflict": 409, "invalid_configuration": 422, "corrupt": 404, "too_large": 413, "late": 503,
    "no_leader": 503, "engine_away": 503, "no_rollout": 409, "no_such_node": 404,
}  # fmt: skip
_BASE = re.compile(r'"?([0-9]{1,18})"?\Z')

Served = Callable[[web.Request, ClusterView], Awaitable[web.Response]]


def _served(serve: Served) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def endpoint(request: web.Request) -> web.Response:
        cluster = request.app[CONTROL].cluster
        if cluster is None:
            return failure(404, "no_cluster", "this lb is in no cluster: its configuration has no `cluster`")
        try:
            return await serve(request, cluster)
        except Unavailable as error:
            return failure(503, "engine_away", f"the cluster's engine cannot be asked: {error}")
        except LookupError as error:
            return failure(404, "no_such_revision", str(error.args[0]))

    return endpoint


@_served
async def status(request: web.Request, cluster: ClusterView) -> web.Response:
    return answer(await cluster.status())


@_served
async def history(request: web.Request, cluster: ClusterView) -> web.Response:
    return answer(await cluster.history())


@_served
async def document(request: web.Request, cluster: ClusterView) -> web.Response:
    revision, text = await cluster.document(_number(request, "number"))
    response = large(text.encode(), "application/yaml")
    response.headers["ETag"] = f'"{revision["revision"]}"'
    return response


@_served
async def diff(request: web.Request, cluster: ClusterView) -> web.Response:
    text = await cluster.diff(_number(request, "one"), _number(request, "other"))
    return large(text.encode(), "text/x-diff; charset=utf-8")


@_served
async def push(request: web.Request, cluster: ClusterView) -> web.Response:
    given = request.headers.get("If-Match", "")
    found = _BASE.match(given)
    if found is None and given != "*":
        return failure(
            428 if not given else 400, "base_needed",
            'say which revision this one takes the place of: If-Match: "7"; * for whichever there is',
        )  # fmt: skip
    try:
        text = await request.clone(client_max_size=MOST_BYTES).read()
    except web.HTTPRequestEntityTooLarge:
        return failure(413, "too_large", f"a shared document may have up to {MOST_BYTES // 2**20} MiB")
    if not text.strip():
        return failure(400, "bad_request", "the body is the shared document, and is empty")
    try:
        stage = stage_of(request.query)
    except ValueError as error:
        return failure(400, "bad_request", str(error))
    base = int(found[1]) if found is not None else None
    name = _line(request.query.get("file", ""))[:200] or "the document"
    return _told(await cluster.push(text, base, name, *_signed(request), stage))


@_served
async def promote(request: web.Request, cluster: ClusterView) -> web.Response:
    return _told(await cluster.end_rollout(True, _base(request), *_signed(request)))


@_served
async def abort(request: web.Request, cluster: ClusterView) -> web.Response:
    return _told(await cluster.end_rollout(False, _base(request), *_signed(request)))


@_served
async def rollback(request: web.Request, cluster: ClusterView) -> web.Response:
    return _told(await cluster.rollback(_number(request, "number"), _base(request), *_signed(request)))


@_served
async def resign(request: web.Request, cluster: ClusterView) -> web.Response:
    return _told(await cluster.resign(_signed(request)[0]))


def _told(said: ClusterAnswer) -> web.Response:
    if not said.error:
        return answer({"revision": said.revision, "message": said.message})
    return failure(
        CODES.get(said.error, 500), said.error, said.message, revision=said.revision, problems=said.problems
    )


def _base(request: web.Request) -> int | None:
    """The revision that the asker has seen; None: whichever there is."""
    found = _BASE.match(request.headers.get("If-Match", ""))
    return int(found[1]) if found is not None else None


def _number(request: web.Request, name: str) -> int:
    text = unquote(request.match_info[name])
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise LookupError(f"found {text[:40]!r}; a revision is a number")
    return int(text)


def _signed(request: web.Request) -> tuple[str, str]:
    """Author and message."""
    return _line(request.query.get("author", ""))[:100], _line(request.query.get("message", ""))[:500]


def _line(text: str) -> str:
    """For logs and terminals: one line, nothing that steers them."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
