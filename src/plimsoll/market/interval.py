"""Spans of time: bar lengths, ranges, and the words people write for them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["DAY", "HOUR", "MICROSECOND", "MILLISECOND", "MINUTE", "SECOND", "duration", "instant"]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_DURATION = re.compile(r"(\d+)([smhdwy])")
_FIRST, _LAST = 2000, 2200
_KNOWN = "a number and a unit: 30s, 5m, 8h, 7d, 2w, 1y"


def duration(text: str) -> timedelta:
    """Return the span that a word such as ``5m`` or ``7d`` stands for.

    Parameters
    ----------
    text : str
        A whole number followed by ``s``, ``m``, ``h``, ``d``, ``w`` or ``y``
        (minutes, not months; a year is 365 days).

    Returns
    -------
    timedelta
        Always positive.

    Raises
    ------
    ValueError
        If the word is not of that form, or the span is zero.

    Examples
    --------
    >>> duration("8h")
    datetime.timedelta(seconds=28800)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError(f"cannot read the span {text!r}; write {_KNOWN}")
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"the span {text!r} is longer than time itself; write {_KNOWN}") from None


def instant(text: str, now: datetime) -> datetime:
    """Return the moment a user means, in UTC.

    Parameters
    ----------
    text : str
        An ISO 8601 date or time (UTC where it names no zone), or a span before
        `now` such as ``7d``.
    now : datetime
        The moment spans are counted back from.

    Returns
    -------
    datetime
        Aware, in UTC.

    Raises
    ------
    ValueError
        If the text is neither.

    Examples
    --------
    >>> instant("2026-01-15", datetime(2026, 2, 1, tzinfo=UTC)).isoformat()
    '2026-01-15T00:00:00+00:00'
    >>> instant("7d", datetime(2026, 2, 1, tzinfo=UTC)).isoformat()
    '2026-01-25T00:00:00+00:00'
    """
    try:
        if _DURATION.fullmatch(text.strip()):
            return now - duration(text)
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"cannot read the time {text!r}; write an ISO date (2026-01-15), "
            f"a time (2026-01-15T08:00Z), or {_KNOWN}"
        ) from None
    if not _FIRST <= moment.year < _LAST:
        raise ValueError(f"{text!r} is before {_FIRST} or after {_LAST}: nothing is stored there")
    return moment.replace(tzinfo=UTC)
