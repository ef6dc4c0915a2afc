"""Every exception Plimsoll raises on purpose.

::

    PlimsollError
    ├── UnknownSymbol          a symbol or native name nobody can read      .text
    ├── ArchiveError           a file is not what its format promises       .path
    │   ├── Unrecognised       no format knows the file
    │   └── DamagedFile        empty, truncated, wrong checksum, not a zip
    ├── StoreError             the archive on disk                          .path
    │   ├── StoreUnusable      cannot be created, written or read here
    │   ├── StoreTooNew        written by a newer Plimsoll                  .found .known
    │   └── StoreDamaged       a file does not match what was sealed
    ├── NoSuchData             nothing stored answers the question
    └── ExchangeError          an exchange did not do what was asked        .exchange
        ├── ConnectionLost   * closed, timed out or silent
        ├── RateLimited      * asked too often                              .retry_after
        ├── Rejected           refused the request                          .code
        ├── Unsupported        publishes no such data                       .kind
        └── UnreadableMessage  the payload is not what its documentation says  .payload

An asterisk: the same request may succeed later (`transient`).

Wrong arguments are `ValueError` or `TypeError`, raised at the public door.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ArchiveError",
    "ConnectionLost",
    "DamagedFile",
    "ExchangeError",
    "NoSuchData",
    "PlimsollError",
    "RateLimited",
    "Rejected",
    "StoreDamaged",
    "StoreError",
    "StoreTooNew",
    "StoreUnusable",
    "UnknownSymbol",
    "UnreadableMessage",
    "Unrecognised",
    "Unsupported",
]


class PlimsollError(Exception):
    """The root of the tree."""


class UnknownSymbol(PlimsollError, ValueError):
    """A symbol, or an exchange's own name of an instrument, cannot be read."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(f"cannot read the symbol {text!r}: {hint}")
        self.text = text


class ArchiveError(PlimsollError):
    """A file is not what its format promises."""

    def __init__(self, path: Path, message: str) -> None:
        name = os.fsencode(path).decode("utf-8", errors="backslashreplace")
        super().__init__(f"{name}: {message}")
        self.path = path


class Unrecognised(ArchiveError):
    """No format knows the file."""


class DamagedFile(ArchiveError):
    """The file is empty, truncated, or does not match its checksum."""


class StoreError(PlimsollError):
    """The archive on disk cannot do what was asked."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class StoreUnusable(StoreError):
    """The store cannot be created, written or read here."""


class StoreTooNew(StoreError):
    """A newer Plimsoll wrote the store."""

    def __init__(self, path: Path, *, found: int, known: int) -> None:
        super().__init__(
            path,
            f"the store has format {found}, this Plimsoll knows formats up to {known}; "
            "upgrade Plimsoll, or point --store at another folder",
        )
        self.found = found
        self.known = known


class StoreDamaged(StoreError):
    """A sealed file does not match what was sealed."""


class NoSuchData(PlimsollError):
    """Nothing stored answers the question."""


class ExchangeError(PlimsollError):
    """An exchange did not do what was asked."""

    transient = False

    def __init__(self, exchange: str, message: str) -> None:
        super().__init__(f"{exchange}: {message}")
        self.exchange = exchange


class ConnectionLost(ExchangeError):
    """The connection was closed, timed out, or is silent."""

    transient = True


class RateLimited(ExchangeError):
    """The exchange was asked too often.

    Attributes
    ----------
    retry_after : float or None, seconds
        When it may be asked again, if it says so.
    """

    transient = True

    def __init__(self, exchange: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(exchange, message)
        self.retry_after = retry_after


class Rejected(ExchangeError):
    """The exchange refused the request.

    Attributes
    ----------
    code : str
        Its own, or HTTP's.
    """

    def __init__(self, exchange: str, message: str, *, code: str) -> None:
        super().__init__(exchange, f"{message} ({code})")
        self.code = code


class Unsupported(ExchangeError):
    """The exchange publishes no such data."""

    def __init__(self, exchange: str, kind: str, why: str) -> None:
        super().__init__(exchange, f"{kind} {why}")
        self.kind = kind


class UnreadableMessage(ExchangeError):
    """A payload is not what its documentation says; it is kept, and nothing is guessed."""

    def __init__(self, exchange: str, payload: bytes, why: str) -> None:
        shown = payload[:200].decode("utf-8", errors="backslashreplace")
        super().__init__(exchange, f"cannot read a message: {why}: {shown}")
        self.payload = payload
        self.why = why
