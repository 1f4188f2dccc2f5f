"""When X.509 certificates end: the one field of them that lb tells.

Lives here: walking DER (X.690) to the validity of a certificate (RFC 5280 4.1). Must not live here: trust,
names and signatures, which are OpenSSL's.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s[^-]*-----END CERTIFICATE-----")
_SEQUENCE = 0x30
_VERSION = 0xA0  # [0], which certificates of version 1 do not have
_UTC_TIME = 0x17
_GENERAL_TIME = 0x18


def ends_of(data: bytes) -> list[float]:
    """Unix seconds of every certificate of a PEM file, in order. Raises ValueError for one that is none."""
    return [_end(ssl.PEM_cert_to_DER_cert(text)) for text in _PEM.findall(data.decode("ascii", "replace"))]


def _end(der: bytes) -> float:
    """Certificate, tbsCertificate, validity, notAfter: each within the one before."""
    _, inner, _ = _element(der, _SEQUENCE)
    _, rest, _ = _element(inner, _SEQUENCE)
    tag, _, after = _element(rest)
    if tag == _VERSION:
        rest = after
    for _ in ("serial number", "algorithm", "issuer"):
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest, _SEQUENCE)
    _, _, rest = _element(validity)  # notBefore
    tag, text, _ = _element(rest)
    if tag == _GENERAL_TIME:
        return _unix(text, "%Y%m%d%H%M%SZ")
    if tag == _UTC_TIME:  # RFC 5280 4.1.2.5.1: from 50 on it is the century before
        return _unix((b"19" if text >= b"50" else b"20") + text, "%Y%m%d%H%M%SZ")
    raise ValueError("the end of the certificate is no time")


def _unix(text: bytes, form: str) -> float:
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _element(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Tag, content, and what follows."""
    if len(data) < 2:
        raise ValueError("the certificate ends too early")
    tag, length, at = data[0], data[1], 2
    if expected is not None and tag != expected:
        raise ValueError(f"the certificate has 0x{tag:02x} where 0x{expected:02x} is expected")
    if length & 0x80:
        size = length & 0x7F
        at += size
        if not 1 <= size <= 4:
            raise ValueError("a length in the certificate is of no good form")
        length = int.from_bytes(data[2:at], "big")
    if at + length > len(data):
        raise ValueError("the certificate ends too early")
    return tag, data[at : at + length], data[at + length :]
