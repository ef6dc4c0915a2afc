"""What an exchange is asked, and how what it sends is read: requests, decoders, numbers.

A decoder turns bytes into listings, events and the few answers that a connection needs; the
functions below it read the parts that all exchanges write alike.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Struct

from plimsoll.errors import UnreadableMessage
from plimsoll.market.events import Event
from plimsoll.market.instrument import Instrument
from plimsoll.market.schema import flaw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plimsoll.market.instrument import Brackets

__all__ = [
    "MILLISECOND",
    "UNREADABLE",
    "Acknowledged",
    "Decoder",
    "Listing",
    "Refused",
    "Reply",
    "Request",
    "Resync",
    "Synced",
    "decode",
    "known",
    "nanoseconds",
    "number",
    "picked",
    "positive",
]

MILLISECOND = 1_000_000
T = TypeVar("T")


class Listing(Struct, frozen=True, kw_only=True):
    """An instrument as its exchange lists it, or whatever else a source publishes facts of.

    Attributes
    ----------
    native : str
        The exchange's own name.
    category : str
        Which of the exchange's markets it is in, in its own words: ``linear``, ``SWAP``, …
    instrument : Instrument
        With the unified symbol and the contract size: base units of one contract (linear), or
        dollars of one (inverse).
    interval_hours : float or None
        Between settlements of funding, where the listing says so.
    turnover_usd : float or None
        Of 24 hours, where it says so.
    is_market : bool
        False where facts are published of it but it is no market of its own: a stablecoin, a
        protocol, a contract in a report. Then its `instrument` is a name and nothing else.
    """

    native: str
    category: str
    instrument: Instrument
    interval_hours: float | None = None
    turnover_usd: float | None = None
    is_market: bool = True

    def __post_init__(self) -> None:
        hours, turnover = self.interval_hours, self.turnover_usd
        if hours is not None and not 0 < hours < math.inf:
            raise ValueError(f"{self.native}: funding cannot be settled every {hours} hours")
        if turnover is not None and not 0 <= turnover < math.inf:
            raise ValueError(f"{self.native}: {turnover} dollars cannot be traded in a day")

    @property
    def symbol(self) -> str:
        """The unified symbol."""
        return self.instrument.symbol

    @property
    def coin(self) -> str:
        """The base of the symbol; the whole of it where it names no market."""
        return self.symbol.partition("/")[0]


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request, and what its answer will hold.

    Attributes
    ----------
    kind : str
        A table's name, or ``instrument`` or ``brackets``.
    url : str
        Without the query.
    method : {"GET", "POST"}
    query : dict of str to str
    body : bytes or None
        JSON of a POST.
    limit : str
        The name of the `Limit` that it counts against.
    weight : int
        How much it counts.
    about : dict of str to str
        What the answer itself does not say and the decoder needs: category, native name, interval.
    """

    kind: str
    url: str
    method: Literal["GET", "POST"] = "GET"
    query: dict[str, str] = {}
    body: bytes | None = None
    limit: str = "default"
    weight: int = 1
    about: dict[str, str] = {}


class Acknowledged(Struct, frozen=True):
    """The exchange accepted subscriptions; no topics means: all that were asked for last."""

    topics: tuple[str, ...] = ()


class Refused(Struct, frozen=True):
    """The exchange refused a subscription."""

    topic: str
    reason: str


class Reply(Struct, frozen=True):
    """The exchange wants this sent back, a pong most likely."""

    payload: bytes


class Synced(Struct, frozen=True):
    """A topic's order book is known, and is kept from here on."""

    topic: str


class Resync(Struct, frozen=True):
    """A topic's order book has to be had anew: by subscribing again, or asking for a snapshot.

    Attributes
    ----------
    topic : str
    since : int or None, UTC nanoseconds
        When it was last known; None if it still is, though not for long.
    reason : str
    """

    topic: str
    since: int | None
    reason: str


class Decoder(ABC):
    """Reads one connection's frames, or answers to requests.

    It may remember what it has read, where an exchange sends changes only; a reconnected socket
    gets a new one. What a message holds beyond its documentation is passed over; what it lacks, or
    has in another form, makes it unreadable, and nothing is guessed.

    Parameters
    ----------
    listings : iterable of Listing
        What the exchange lists; an instrument beyond these is unreadable, for its size is unknown.
    """

    exchange: ClassVar[str]

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        self.listings: dict[tuple[str, str], Listing] = {
            (listing.category, listing.native): listing for listing in listings
        }

    def read(
        self, payload: bytes, received: int, request: Request | None = None
    ) -> list[Event | Listing | Brackets | Acknowledged | Refused | Reply | Resync | Synced]:
        """Return what a message says.

        Parameters
        ----------
        payload : bytes
            As it came, decompressed.
        received : int, UTC nanoseconds
        request : Request or None
            What it answers; None for a frame of a socket.

        Raises
        ------
        UnreadableMessage
            If it is not what the documentation says.
        """
        try:
            if request is None:
                items = self.frame(payload, received)
            else:
                items = self.answer(payload, received, request)
            for item in items:
                if isinstance(item, Event) and (why := flaw(item)) is not None:
                    raise ValueError(why)
        except UNREADABLE as error:
            why = f"{type(error).__name__}: {error}"
            raise UnreadableMessage(self.exchange, payload, why) from error
        return items

    def frame(self, payload: bytes, received: int) -> list[Any]:
        """Return what a frame of a socket says; any `ValueError` or `KeyError` is unreadable."""
        del payload, received
        raise ValueError(f"{self.exchange} streams nothing")

    @abstractmethod
    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        """Return what an answer says; any `ValueError` or `KeyError` is unreadable."""

    def listing(self, native: str, *categories: str) -> Listing:
        """Return what is listed under a native name, in the first category that has it.

        Raises
        ------
        KeyError
            If nothing is.
        """
        for category in categories:
            if (found := self.listings.get((category, native))) is not None:
                return found
        raise KeyError(f"{native} is not listed")

    def about(self, listing: Listing, time: int, received: int) -> dict[str, Any]:
        """Return what every event says; times in UTC nanoseconds."""
        return {
            "exchange": self.exchange,
            "symbol": listing.symbol,
            "time": time,
            "received": received,
        }


UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,  # msgspec's errors are of this kind
)
"""What reading a message raises if it is not what its documentation says."""


def decode(payload: bytes, shape: type[T]) -> T:
    """Return a message in the shape its documentation gives it; whole numbers may be text.

    Raises
    ------
    ValueError
        If it is no JSON, or of another shape.
    """
    return msgspec.json.decode(payload, type=shape, strict=False)


def number(text: Any) -> float:
    """Return a finite number, which an exchange may write as text.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        raise TypeError(f"{text!r} is no number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


def positive(text: Any) -> float:
    """Return a number above zero, such as a price; `ValueError` if it is none."""
    value = number(text)
    if value <= 0:
        raise ValueError(f"{text!r} is not positive")
    return value


def known(row: Mapping[str, Any], name: str) -> float | None:
    """Return a number, or None where the exchange leaves it out or empty."""
    text = row.get(name)
    return None if text is None or text == "" else number(text)


def picked(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return numbers under our names, from a row that has them under the exchange's."""
    return {ours: known(row, theirs) for ours, theirs in names.items()}


def nanoseconds(millis: Any) -> int:
    """Return milliseconds since 1970, which an exchange may write as text, in nanoseconds.

    Raises
    ------
    ValueError
        If it is no whole number, or no time from 2009 to 2100.

    Examples
    --------
    >>> nanoseconds("1583127900000")
    1583127900000000000
    """
    value = int(millis) if isinstance(millis, str | int) else 0
    if isinstance(millis, bool) or not _EARLIEST <= value <= _LATEST:
        raise ValueError(f"{millis!r} is no time in milliseconds")
    return value * MILLISECOND


_EARLIEST, _LATEST = 1_230_940_800_000, 4_102_444_800_000
