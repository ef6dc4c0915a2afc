"""Exchanges without a translator here, through ccxt: what they list, and their candles.

ccxt asks and reads by itself, so that nothing here is kept as it came. Only what cannot be told in
two ways is taken. Candles bear no taker volume. ccxt's volume is base units on spot, but contracts
on many exchanges' derivatives and base units on others, which nothing in it says: it is taken where
both are the same, on spot and on linear contracts of one unit, and is null elsewhere. Likewise a
quanto contract's size, which some give in base units and some in money, is not kept.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from plimsoll.errors import (
    ConnectionLost,
    ExchangeError,
    RateLimited,
    Rejected,
    UnknownSymbol,
    UnreadableMessage,
    Unsupported,
)
from plimsoll.exchanges import EXCHANGES
from plimsoll.exchanges.base import Offer
from plimsoll.exchanges.reading import Listing
from plimsoll.market.events import Candle
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import MINUTE
from plimsoll.market.schema import flaw
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from plimsoll.market.events import Event

__all__ = ["PREFIX", "ThroughCcxt", "through_ccxt"]

PREFIX = "ccxt:"
"""How the name of an exchange begins that is asked through ccxt."""

_MILLI = 1_000_000
_TICKS = 4  # ccxt's precision mode in which a precision is a step, not a number of digits
_HERE = {
    "binancecoinm": "binance",
    "binanceusdm": "binance",
    "coinbaseinternational": "coinbase",
    "gateio": "gate",
    "huobi": "htx",
    "krakenfutures": "kraken",
    "kucoinfutures": "kucoin",
    **{name: name for name in EXCHANGES},
}


@asynccontextmanager
async def through_ccxt(
    name: str, address: Callable[[str], str] = lambda url: url
) -> AsyncIterator[ThroughCcxt]:
    """Open an exchange through ccxt, and close it.

    Parameters
    ----------
    name : str
        ccxt's name of it, such as ``phemex``.
    address : callable, optional
        Returns the URL to use in place of one.

    Raises
    ------
    ExchangeError
        If ccxt is not installed.
    ValueError
        If ccxt knows no such exchange.
    Unsupported
        If it is translated here.
    """
    try:
        import ccxt.async_support as ccxt  # noqa: PLC0415 (optional, and takes seconds)
    except ImportError:
        why = "ccxt is not installed: pip install 'plimsoll[ccxt]'"
        raise ExchangeError(PREFIX + name, why) from None
    if name in _HERE:
        why = f"is translated here: name it {_HERE[name]}"
        raise Unsupported(PREFIX + name, "the exchange", why)
    if name not in ccxt.exchanges:
        raise ValueError(f"ccxt knows no exchange {name!r}; known: {', '.join(ccxt.exchanges)}")
    made = getattr(ccxt, name)({"enableRateLimit": True, "aiohttp_trust_env": True})
    made.urls["api"] = _readdressed(made.urls["api"], address)
    try:
        yield ThroughCcxt(made, ccxt)
    finally:
        await made.close()


def _readdressed(urls: Any, address: Callable[[str], str]) -> Any:
    if isinstance(urls, dict):
        return {name: _readdressed(url, address) for name, url in urls.items()}
    return address(urls) if isinstance(urls, str) else urls


class ThroughCcxt:
    """One exchange, asked through ccxt.

    Parameters
    ----------
    made : ccxt.async_support.Exchange
    ccxt : module
        For its errors.

    Attributes
    ----------
    name : str
        As in the `exchange` column: ccxt's.
    offers : mapping of str to Offer
    """

    def __init__(self, made: Any, ccxt: Any) -> None:
        self.name: str = made.id
        self.offers: Mapping[str, Offer] = {"candle": Offer(history="how far back is not said")}
        self._made, self._ccxt = made, ccxt

    async def listed(self) -> list[Listing]:
        """Return what is listed now; what has a symbol of another grammar is left out.

        Raises
        ------
        ExchangeError
            If it cannot be asked.
        """
        markets = await self._asked(self._made.load_markets)
        found = (self._listing(market) for market in markets.values())
        return [listing for listing in found if listing is not None]

    def _listing(self, market: dict[str, Any]) -> Listing | None:
        try:
            symbol = Symbol.parse(market["symbol"])
        except UnknownSymbol:
            return None
        size, step = market.get("contractSize"), market["precision"].get("price")
        if symbol.kind == "spot":
            size = 1
        is_known = bool(size) and symbol.settlement != "quanto"
        return Listing(
            native=market["id"],
            category=market["type"],
            instrument=Instrument(
                exchange=self.name,
                symbol=str(symbol),
                contract_size=Decimal(str(size)) if is_known else Decimal(1),
                tick=Decimal(str(step)) if step and self._made.precisionMode == _TICKS else None,
                listed=_day(market.get("created")),
            ),
            is_market=is_known,
        )

    async def history(
        self, kind: str, listing: Listing, since: int, until: int
    ) -> AsyncIterator[list[Event]]:
        """Yield the candles of one minute of a span, page by page.

        Parameters
        ----------
        kind : str
        listing : Listing
        since, until : int, UTC nanoseconds
            Half-open.

        Raises
        ------
        Unsupported
            If the exchange has none, or none of one minute.
        ExchangeError
            If it cannot be asked, or an answer cannot be read.
        """
        if kind != "candle":
            raise Unsupported(self.name, kind, "is not read through ccxt: only candles are")
        if not self._made.has.get("fetchOHLCV") or "1m" not in (self._made.timeframes or {}):
            raise Unsupported(self.name, "candle", "of one minute is not published")
        next_ = since
        while next_ < until:
            rows = await self._asked(
                self._made.fetch_ohlcv, listing.symbol, "1m", since=next_ // _MILLI
            )
            received = time.time_ns()
            found = [self._candle(row, listing, received) for row in rows]
            yield [one for one in found if one is not None and since <= one.time < until]
            last = max((int(row[0]) * _MILLI for row in rows), default=-1)
            if last < next_:
                return
            next_ = last + MINUTE

    def _candle(self, row: list[Any], listing: Listing, received: int) -> Candle | None:
        """Return a candle; None where it still runs, or nothing was traded in it."""
        end = int(row[0]) * _MILLI + MINUTE
        if end > received or None in row[:5]:
            return None
        is_base = listing.instrument.kind == "spot" or (
            listing.is_market
            and listing.instrument.settlement == "linear"
            and listing.instrument.contract_size == 1
        )
        made = Candle(
            exchange=self.name,
            symbol=listing.symbol,
            time=end - MINUTE,
            received=received,
            known_at=end,
            interval=60,
            open=float(row[1]),
            high=float(row[2]),
            low=float(row[3]),
            close=float(row[4]),
            volume=float(row[5]) if is_base and row[5] is not None else None,
        )
        if (why := flaw(made)) is not None:
            raise UnreadableMessage(self.name, repr(row).encode(), why)
        return made

    async def _asked(self, method: Any, *words: Any, **named: Any) -> Any:
        """Return what ccxt answers, with its errors as ours."""
        ccxt = self._ccxt
        try:
            return await method(*words, **named)
        except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
            raise RateLimited(self.name, _short(error)) from error
        except ccxt.NetworkError as error:
            raise ConnectionLost(self.name, _short(error)) from error
        except ccxt.NotSupported as error:
            raise Unsupported(self.name, "this", f"is not offered: {_short(error)}") from error
        except ccxt.BaseError as error:
            raise Rejected(self.name, _short(error), code=type(error).__name__) from error


def _short(error: Exception) -> str:
    return str(error)[:200]


def _day(millis: float | None) -> Any:
    return None if not millis else datetime.fromtimestamp(millis / 1_000, UTC).date()
