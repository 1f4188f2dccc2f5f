"""The files that a Consul client reads again when they change: its token, and its side of TLS.

Lives here: noticing changes, and what holds while a file is away or half written. A token is in no text and
no repr; it leaves this file only as the return value of `token`. Must not live here: sending (consul_http).
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from lb.discovery.consul_settings import ConsulConnection, ConsulTls
from lb.discovery.contract import ProviderError

MOST_TOKEN = 4096  # bytes of its file
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}\Z")

Signature = tuple[tuple[int, int, int], ...]


class Token:
    """The ACL token of a connection. A new one in its file is used from the next question on; while the file
    is away, empty or no token, the last one is."""

    def __init__(self, connection: ConsulConnection) -> None:
        self._file = connection.token_file
        self._variable = connection.token_env
        self._seen: Signature = ()
        self._text = ""

    def token(self) -> str:
        """ "" where the connection has none. Raises ProviderError where there has been no token so far."""
        if self._variable:
            return _checked(os.environ.get(self._variable, ""), f"the environment variable {self._variable}")
        if not self._file:
            return ""
        try:
            seen = signature((self._file,))
            if seen != self._seen:
                with Path(self._file).open("rb") as file:
                    content = file.read(MOST_TOKEN + 1)
                self._text = _checked(content.decode("ascii", "replace").strip(), self._file)
                self._seen = seen
        except OSError as error:
            if not self._text:
                raise ProviderError(
                    f"cannot read Consul's token from {self._file}: {error.strerror or error}"
                ) from None
        except ProviderError:
            if not self._text:
                raise
        return self._text


class Tls:
    """The TLS settings of a connection as asyncio takes them, made again when one of the files changes."""

    def __init__(self, settings: ConsulTls) -> None:
        self._settings = settings
        self._files = tuple(path for path in (settings.ca, settings.cert, settings.key) if path)
        self._seen: Signature | None = None
        self._made: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """Raises ProviderError where the files are unusable and have been so far; otherwise the last usable
        ones hold."""
        try:
            seen = signature(self._files)
            if self._made is None or seen != self._seen:
                self._made = self._make()
                self._seen = seen
        except (OSError, ValueError) as error:
            if self._made is None:
                files = ", ".join(self._files) or "the system's certificates"
                raise ProviderError(f"TLS to Consul: cannot use {files}: {error}") from None
        return self._made

    def _make(self) -> ssl.SSLContext:
        settings = self._settings
        made = ssl.create_default_context(cafile=settings.ca or None)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if not settings.verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        if settings.cert:
            made.load_cert_chain(settings.cert, settings.key or None)
        return made


def signature(paths: tuple[str, ...]) -> Signature:
    """What is different after a file was written or replaced. Raises OSError."""
    found = [Path(path).stat() for path in paths]
    return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


def _checked(text: str, where: str) -> str:
    if not _TOKEN.match(text):
        raise ProviderError(f"{where} has no token of Consul: one line of printable characters is expected")
    return text
