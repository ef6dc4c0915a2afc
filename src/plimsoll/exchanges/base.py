"""What an exchange is to Plimsoll: a translator, without input, output or clock.

An exchange says which requests and which channels serve a kind of fact, and its decoder, made as
`reading` has it, reads what comes back. Others send, wait, retry and reconnect. Everything it needs
to know of the world comes as an argument: the instruments it lists, the bytes, and when they were
received.

::

    instruments()  ──▶ Request ──▶ (net) ──▶ read(answer) ──▶ Listing, Brackets
    channels(kind, listings) ──▶ Channel ──▶ subscribe() ──▶ frames to send
    ticket()        ──▶ Request ──▶ (net) ──▶ entrance(answer) ──▶ the URL of one connection
    polls(kind, listings)    ──▶ Poll    ──▶ (net) ──┐
    history(kind, …)         ──▶ Request ──▶ (net) ──┼──▶ read(payload, received) ──▶ Event
    a frame of the socket ───────────────────────────┘
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec import Struct

from plimsoll.errors import Unsupported
from plimsoll.exchanges.reading import Request
from plimsoll.market.events import Completeness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plimsoll.exchanges.reading import Decoder, Listing

__all__ = ["Channel", "Exchange", "Limit", "Offer", "Ping", "Poll"]


class Poll(Struct, frozen=True, kw_only=True):
    """A request to be sent again and again.

    Attributes
    ----------
    request : Request
    every : float, seconds
        Sent at whole multiples of this since 1970, and `delay` later.
    delay : float, seconds
        How long after a bucket's end the exchange publishes it.
    """

    request: Request
    every: float
    delay: float = 0.0

    def asks_of(self, listing: Listing) -> bool:
        """Return whether it asks of a listing: of all, of those of a category, or of one."""
        about = self.request.about
        native, category = about.get("native"), about.get("category")
        return native in {None, listing.native} and category in {None, listing.category}


class Channel(Struct, frozen=True, kw_only=True):
    """One subscription on a socket.

    Attributes
    ----------
    url : str
        Of the socket.
    topic : str
        What to subscribe to, in the exchange's words; unique on its socket.
    kinds : tuple of str
        The tables it brings rows of.
    symbol : str or None
        The unified symbol; None for all at once.
    snapshot : Request or None
        What has to be asked for beside, as soon as it is subscribed and whenever a `Resync` says
        so; the answer goes to the decoder that reads the channel.
    """

    url: str
    topic: str
    kinds: tuple[str, ...]
    symbol: str | None = None
    snapshot: Request | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """How much may be asked in how long, from one address.

    Attributes
    ----------
    name : str
        Exchanges and hosts that share one allowance share its name.
    amount : float
        Of weight.
    seconds : float
    header : str or None
        The response header that says how much of it is used.
    """

    name: str
    amount: float
    seconds: float
    header: str | None = None


class Ping(Struct, frozen=True, kw_only=True):
    """How a socket is kept open, beside the pings of the WebSocket protocol.

    Attributes
    ----------
    every : float, seconds
    payload : bytes or None
        None where the protocol's own pings are enough.
    """

    every: float = 15.0
    payload: bytes | None = None


class Offer(Struct, frozen=True, kw_only=True):
    """What an exchange publishes of a kind of fact.

    Attributes
    ----------
    stream : bool
        On a socket, as it happens.
    poll : float or None, seconds
        How often it is asked for; None if it is not.
    history : str or None
        How far back it can be asked for: ``all``, ``30 days``, ``1,440 buckets``, …
    window : int, days
        How much of history is asked for together.
    completeness : str
        See `events.Completeness`.
    checked : {"recorded", "documented"}
        Whether its translation was held against recorded messages, or documentation only.
    note : str
    """

    stream: bool = False
    poll: float | None = None
    history: str | None = None
    window: int = 10
    completeness: Completeness = "complete"
    checked: Literal["recorded", "documented"] = "documented"
    note: str = ""


class Exchange(ABC):
    """One exchange.

    Attributes
    ----------
    name : str
        As in the `exchange` column.
    offers : mapping of str to Offer
        By kind; what is not in it, the exchange does not publish.
    limits : tuple of Limit
    ping : Ping
    longest : float, seconds
        A socket is replaced before it is this old, because the server would close it.
    most : int
        Channels on one socket.
    """

    name: ClassVar[str]
    offers: ClassVar[Mapping[str, Offer]]
    limits: ClassVar[tuple[Limit, ...]]
    ping: ClassVar[Ping] = Ping()
    longest: ClassVar[float] = 23 * 3600.0
    most: ClassVar[int] = 200

    @abstractmethod
    def instruments(self) -> list[Request]:
        """Return what to ask to learn the listings, and brackets where they are public."""

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return what to subscribe to for a kind.

        Raises
        ------
        Unsupported
            If the exchange streams no such thing.
        """
        del listings
        raise Unsupported(self.name, kind, "is not streamed")

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that subscribe to channels of one socket."""
        raise Unsupported(self.name, f"{len(channels)} channels", "are not streamed")

    def ticket(self) -> Request | None:
        """Return what to ask each time before a socket is opened; None where its URL is enough."""
        return None

    def entrance(self, payload: bytes) -> tuple[str, Ping]:
        """Return the URL to connect to, and how to keep it open, as the answer to a ticket says.

        Any error of `reading.UNREADABLE` means that it does not say.
        """
        del payload
        raise Unsupported(self.name, "a ticket", "is not needed for its sockets")

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that end subscriptions of one socket."""
        raise Unsupported(self.name, f"{len(channels)} channels", "cannot be ended one by one")

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return what to ask again and again for a kind.

        Raises
        ------
        Unsupported
            If the exchange cannot be asked for it.
        """
        del listings
        raise Unsupported(self.name, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first request for history.

        Parameters
        ----------
        kind : str
        listing : Listing
        since, until : int, UTC nanoseconds
            Half-open.

        Raises
        ------
        Unsupported
            If the exchange keeps none.
        """
        del listing, since, until
        raise Unsupported(self.name, kind, "has no history here")

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the request for the next page of an answer; None when there is no more."""
        del request, payload
        return None

    def wallets(self, payload: bytes) -> list[tuple[str, float]]:
        """Return the wallets that a frame names, with the dollars each traded."""
        del payload
        return []

    def position_request(self, wallet: str) -> Request:
        """Return what to ask for the positions of a wallet."""
        raise Unsupported(self.name, f"positions of {wallet}", "are not public")

    @abstractmethod
    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""

    def offer(self, kind: str) -> Offer:
        """Return what is published of a kind.

        Raises
        ------
        Unsupported
            If nothing is.
        """
        if kind not in self.offers:
            raise Unsupported(self.name, kind, "is not published")
        return self.offers[kind]
