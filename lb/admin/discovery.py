"""The endpoints of discovery: what sources of servers say, and believing one.

Lives here: HTTP. Must not live here: what is held and why (lb.discovery).
"""

from __future__ import annotations

from aiohttp import web

from lb.admin.answers import answer, failure
from lb.admin.keys import CONTROL


async def discovery(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    return answer(
        {
            "services": list(control.discovery()),
            "catalog": control.catalog(),
            "registration": control.registration(),
        }
    )


async def accept(request: web.Request) -> web.Response:
    """What the brake holds of a service goes."""
    control, service = request.app[CONTROL], request.match_info["service"]
    try:
        control.accept_discovery(service)
    except LookupError as error:
        return failure(404, "nothing_held", str(error.args[0]))
    return answer({"services": [one for one in control.discovery() if one["service"] == service]})
