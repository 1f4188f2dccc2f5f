"""How the admin API answers: JSON, errors, and the choice of a form by Accept."""

from __future__ import annotations

import msgspec
from aiohttp import web

_COMPRESS_IN_THREAD = 64 * 1024


def answer(data: object, status: int = 200) -> web.Response:
    """`data` as indented JSON; what msgspec cannot encode as its text."""
    body = msgspec.json.format(msgspec.json.encode(data, enc_hook=str), indent=2) + b"\n"
    return large(body, "application/json", status)


def failure(status: int, error: str, message: str, **more: object) -> web.Response:
    """An error: a word for programs, a sentence for people."""
    return answer({"error": error, "message": message, **more}, status)


def large(body: bytes, content_type: str, status: int = 200) -> web.Response:
    """A response that may be large: compressed where the client allows, in a thread, not in the loop."""
    response = web.Response(
        body=body,
        status=status,
        headers={"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"},
        zlib_executor_size=_COMPRESS_IN_THREAD,
    )
    if len(body) > 1024:
        response.enable_compression()
    return response


def preferred(accept: str, *offers: str) -> str:
    """The offer (a media type) that this Accept field likes best (RFC 9110 12.5.1); the first where it
    likes several alike or none."""
    best, best_quality = offers[0], 0.0
    for offer in offers:
        quality = _quality(accept, offer)
        if quality > best_quality:
            best, best_quality = offer, quality
    return best


def _quality(accept: str, offer: str) -> float:
    """The q of the most specific range in `accept` that covers `offer`."""
    ranges = {"*/*": 1, offer.split("/", maxsplit=1)[0] + "/*": 2, offer: 3}
    found, specific = 0.0, 0
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        rank = ranges.get(name, 0)
        if rank > specific:
            found, specific = _q(parameters), rank
    return found


def _q(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
