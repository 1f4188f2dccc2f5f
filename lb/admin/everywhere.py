"""The endpoints of orders that hold on all nodes of the cluster.

Lives here: from bodies, paths and headers to orders. Must not live here: what an order may say
(lb.admin.servers), agreeing on it (lb.cluster.ordering).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from lb.admin.answers import failure
from lb.admin.keys import CONTROL
from lb.admin.servers import after, identity_of, one_line, ordered
from lb.admin.view import ClusterAnswer, EverywhereView

CODES = {"conflict": 409, "no_override": 404, "too_large": 413}  # all others: 503
_BASE = re.compile(r'"?([0-9]{1,18})"?\Z')

Served = Callable[[web.Request, EverywhereView, int | None], Awaitable[web.Response]]


def _served(serve: Served) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def endpoint(request: web.Request) -> web.Response:
        everywhere = request.app[CONTROL].everywhere
        if everywhere is None:
            return failure(404, "no_cluster", "this lb is in no cluster: its configuration has no `cluster`")
        given = request.headers.get("If-Match", "")
        found = _BASE.match(given)
        if found is None and given != "*":
            return failure(
                428 if not given else 400, "base_needed",
                'say which order this one takes the place of: If-Match: "7" (layers.everywhere.number), "0" '
                "for none; * for whichever there is",
            )  # fmt: skip
        return await serve(request, everywhere, int(found[1]) if found is not None else None)

    return endpoint


@_served
async def override(request: web.Request, everywhere: EverywhereView, base: int | None) -> web.Response:
    try:
        wanted = await ordered(request)
        request.app[CONTROL].known(*identity_of(request))
    except ValueError as error:
        return failure(400, "bad_request", str(error))
    except LookupError as error:
        return failure(404, "unknown_server", str(error.args[0]))
    return _told(request, await everywhere.order(*identity_of(request), wanted, base))


@_served
async def clear(request: web.Request, everywhere: EverywhereView, base: int | None) -> web.Response:
    author = one_line(request.query.get("author", ""))[:100]
    return _told(request, await everywhere.lift(*identity_of(request), author, base))


def _told(request: web.Request, said: ClusterAnswer) -> web.Response:
    if not said.error:
        return after(request.app[CONTROL], identity_of(request))
    return failure(CODES.get(said.error, 503), said.error, said.message, number=said.revision)
