"""The value of X-LB-Debug: `EXPIRY:SIGNATURE`, by which a request gets its decision in the response.

Lives here: making and checking one. The signature is HMAC-SHA256 over "lb-debug:EXPIRY" in hexadecimal
digits, EXPIRY in unix seconds. Must not live here: what is answered (lb.proxy.debug).
"""

from __future__ import annotations

import hmac

DIGITS = 12  # of an expiry, at most
_SIGNED = 64  # hexadecimal digits of a signature


def make(key: str, expiry: int) -> str:
    """A token that holds until `expiry`, unix seconds."""
    return f"{expiry}:{_signature(key, str(expiry).encode())}"


def holds(key: str, token: bytes, now: float) -> bool:
    """Whether `token`, which is the client's, was made with `key` and is not over at `now` (unix seconds)."""
    expiry, _, signature = token.partition(b":")
    if not 0 < len(expiry) <= DIGITS or not expiry.isdigit() or len(signature) != _SIGNED:
        return False
    return hmac.compare_digest(_signature(key, expiry).encode(), signature) and int(expiry) > now


def _signature(key: str, expiry: bytes) -> str:
    return hmac.digest(key.encode(), b"lb-debug:" + expiry, "sha256").hex()
