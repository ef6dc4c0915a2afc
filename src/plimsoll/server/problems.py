"""What went wrong, in one shape: problem details (RFC 9457) that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plimsoll.errors import ExchangeError, NoSuchData, PlimsollError, StoreError, UnknownSymbol
from plimsoll.server.forms import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KINDS", "PROBLEM", "SCHEMA", "STATUSES", "Problem", "of_error", "of_validation"]

PROBLEM = "application/problem+json"
STATUSES = {
    304: "What the client has is current.",
    401: "A token is needed, or the one given is wrong.",
    404: "Nothing stored answers the question.",
    406: "The answer has none of the forms that Accept names.",
    413: "The question, or its answer, is larger than this server takes.",
    422: "The question cannot be read; the detail says what to write.",
    429: "This client asks too often; Retry-After says when to come back.",
    503: "Too much is asked at once, or the store cannot be read; try again.",
}
"""Every status but success that a question may have, and what it means."""
SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Names the problem; stays the same."},
        "title": {"type": "string", "description": "What this kind of problem is."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What was wrong, and what to do."},
    },
}
"""Of a problem's body."""


class Problem(Exception):
    """A refusal.

    Attributes
    ----------
    status : int
    name : str
        Names the kind of problem, for programs.
    title, detail : str
        For people; the detail says what to do.
    headers : dict of str to str
    """

    status: int
    name: str
    title: str
    detail: str

    def __init__(
        self,
        status: int,
        name: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.name, self.title, self.detail = status, name, title, detail
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the problem as its document."""
        return text(
            {
                "type": f"urn:plimsoll:{self.name}",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
            }
        )


KINDS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (NoSuchData, 404, "no-such-data", "Nothing stored answers the question"),
    (UnknownSymbol, 422, "unknown-symbol", "The symbol cannot be read"),
    (StoreError, 503, "store", "The store cannot be read"),
    (ExchangeError, 503, "exchange", "An exchange did not do what was asked"),
    (PlimsollError, 422, "unreadable", "The question cannot be read"),
    (ValueError, 422, "unreadable", "The question cannot be read"),
    (OverflowError, 422, "unreadable", "The question cannot be read"),
)


def of_error(error: Exception) -> Problem:
    """Return what to answer for an error that a session raised."""
    for kind, status, name, title in KINDS:
        if isinstance(error, kind):
            return Problem(status, name, title, str(error))
    detail = "the server's own log tells more; the same question may fail again"
    return Problem(500, "defect", "The server has a defect", detail)


def of_validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return what to answer for parameters that are not what they must be."""
    said = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in errors)
    return Problem(422, "unreadable", "The question cannot be read", said)
