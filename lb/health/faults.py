"""What went wrong with a connection, in the words of an operator.

Lives here: exceptions → one line. Must not live here: what an answer should have been (one file a probe).
"""

from __future__ import annotations

import os
import socket
import ssl

MOST_SHOWN = 60


def fault(error: Exception) -> str:
    """One line such as "connection refused" or "TLS: self-signed certificate"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message or 'the certificate is not valid'}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved: {(error.strerror or str(error)).lower()}"
    if isinstance(error, ConnectionAbortedError | ConnectionResetError):
        return "connection reset"
    if isinstance(error, OSError) and error.errno:
        named = f": {error.filename}" if error.filename else ""
        return os.strerror(error.errno).lower() + named
    return str(error) or type(error).__name__


def shown(received: bytes) -> str:
    """The start of what a server sent, safe to print."""
    return repr(bytes(received[:MOST_SHOWN]))[1:] + ("…" if len(received) > MOST_SHOWN else "")
