"""Rows of a table, page by page."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.measures.asking import moment
from plimsoll.server.forms import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plimsoll.session import Session

__all__ = ["Cursor", "page", "recent"]

_HOUR = timedelta(hours=1)
_WIDER = 4
"""How much wider the next stretch is that is read where one held little of a page."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page begins: a time, and how many rows of that time were given."""

    time: datetime
    given: int = 0

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Read a cursor as it was given.

        Raises
        ------
        ValueError
            If it was not given by a server such as this.
        """
        try:
            cursor = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=cls)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            cursor = None
        if cursor is None or cursor.time.tzinfo is None or cursor.given < 0:
            raise ValueError(f"{text!r} is no cursor; take the one of the page before")
        return cursor

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def page(
    session: Session,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    stored: tuple[datetime, datetime] | None,
    limit: int,
    cursor: str | None,
) -> Answer:
    """Return one page of a table, by time.

    Only as much is read as the page needs, in ever longer stretches of time.

    Parameters
    ----------
    session : Session
    kind : str
    arguments : mapping
        Of `Session.read`.
    stored : (datetime, datetime) or None
        Outside of which nothing is looked for; None where nothing of the kind is stored.
    limit : int
        Rows on a page.
    cursor : str, optional
        What the page before said; the first page without it.

    Returns
    -------
    Answer
        Its facts say the cursor of the `next` page, None on the last.
    """
    if stored is None:
        session.read(kind, arguments.get("symbol"), exchange=arguments.get("exchange"))
        raise NoSuchData(f"no {kind} is stored")
    since = max(moment(arguments.get("since")) or stored[0], stored[0])
    until = min(moment(arguments.get("until")) or stored[1], stored[1])
    begin = Cursor(since) if cursor is None else Cursor.read(cursor)
    found = _read(session, kind, arguments, begin, until, begin.given + limit + 1)
    rows = found[begin.given : begin.given + limit]
    more = found.height > begin.given + limit
    follows = None
    if more:
        last: datetime = rows["time"][-1]
        same = rows.filter(pl.col("time") == last).height
        follows = Cursor(last, same + (begin.given if last == begin.time else 0))
    facts = {"next": None if follows is None else str(follows), "rows": rows.height}
    return Answer(rows.to_dict(), facts)


def _read(
    session: Session,
    kind: str,
    arguments: Mapping[str, Any],
    begin: Cursor,
    until: datetime,
    enough: int,
) -> pl.DataFrame:
    """Return rows from a time on, at least so many, or all there are."""
    order = list(dict.fromkeys(["time", *TABLES[kind].key]))
    asked = {name: arguments.get(name) for name in ("symbol", "exchange", "as_of")}
    frames = [pl.DataFrame(schema=TABLES[kind].schema)]
    since, width, height = begin.time.astimezone(UTC), _HOUR, 0
    while since < until and height < enough:
        end = min(since + width, until)
        frame = session.read(kind, since=since, until=end, **asked)
        frames.append(frame.sort(order))
        height += frame.height
        since, width = end, width * (1 if _WIDER * frame.height > enough else _WIDER)
    return pl.concat(frames)


def recent(
    session: Session,
    kind: str,
    arguments: Mapping[str, Any],
    span: tuple[datetime, datetime],
    enough: int,
) -> pl.DataFrame:
    """Return the last rows of a table, by time; arguments as of `page`.

    Read backwards, in ever longer stretches of time.
    """
    order = list(dict.fromkeys(["time", *TABLES[kind].key]))
    asked = {name: arguments.get(name) for name in ("symbol", "exchange", "as_of")}
    frames: list[pl.DataFrame] = []
    until, width, height = span[1], _HOUR, 0
    while until > span[0] and height < enough:
        begin = max(until - width, span[0])
        frame = session.read(kind, since=begin, until=until, **asked)
        frames.insert(0, frame.sort(order))
        height += frame.height
        until, width = begin, width * _WIDER
    empty = pl.DataFrame(schema=TABLES[kind].schema)
    return pl.concat([empty, *frames]).tail(enough)
