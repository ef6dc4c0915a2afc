"""Tardis.dev's CSV datasets: one table for each exchange, type, day and symbol.

Tardis keeps each exchange's own unit of size. Here sizes become base units: coins are taken as
they are, dollar contracts are divided by the price of their row, and coin contracts are
multiplied by their size, which the file does not state. A file with a contract whose size is not
known for certain is refused. `value_usd` is given only where the exchange counts in dollars.

Of a ticker, a row is kept where a value differs from the symbol's value before it. Its funding
rate is a prediction of the settlement that is named, and ahead; a rate whose settlement is past
or not named is left out, for the file does not say which interval it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.errors import ArchiveError, UnknownSymbol
from plimsoll.market.native import unified
from plimsoll.market.schema import TIME
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from plimsoll.archives.source import Source
    from plimsoll.market.native import Market

    Rows = Iterator[tuple[str, pl.DataFrame]]

__all__ = ["ACCEPTS", "NAME", "read", "recognises"]

NAME = "tardis"
ACCEPTS = (
    "CSV datasets of Tardis.dev: derivative_ticker, liquidations, options_chain, trades, quotes, "
    "book_snapshot_5 and book_snapshot_25"
)

_FIRST = ("exchange", "symbol", "timestamp", "local_timestamp")
_TRADES_OR_LIQUIDATIONS = (*_FIRST, "id", "side", "price", "amount")
_LAYOUTS = {
    (*_FIRST, *columns.split()): layout
    for layout, columns in {
        "derivative_ticker": "funding_timestamp funding_rate predicted_funding_rate "
        "open_interest last_price index_price mark_price",
        "options_chain": "type strike_price expiration open_interest last_price bid_price "
        "bid_amount bid_iv ask_price ask_amount ask_iv mark_price mark_iv underlying_index "
        "underlying_price delta gamma vega theta rho",
        "quotes": "ask_amount ask_price bid_price bid_amount",
    }.items()
}
_WORDS = {"exchange", "symbol", "id", "side", "type", "underlying_index"}
_STAMPS = {"timestamp", "local_timestamp", "funding_timestamp", "expiration"}
_FACT = (
    "exchange",
    "symbol",
    pl.col("timestamp").alias("time"),
    pl.col("local_timestamp").alias("received"),
    LINE,
)


@dataclass(frozen=True)
class _Venue:
    """One of Tardis' exchanges.

    Attributes
    ----------
    exchange : str
        What we call it.
    market : str or None
        Given where its names alone could mean another market.
    coins, dollars : mapping of str to float
        What a size of one stands for, by pair: base units, and US dollars of inverse
        contracts. ``*`` stands for every other pair, an absent pair is not known.
    """

    exchange: str
    market: Market | None = None
    coins: Mapping[str, float] = field(default_factory=dict)
    dollars: Mapping[str, float] = field(default_factory=dict)

    def size(self, symbol: str) -> tuple[bool, float | None]:
        """Return whether sizes are dollars, and what one stands for; None: not known."""
        parts = Symbol.parse(symbol)
        inverse = parts.settlement == "inverse" and parts.kind != "option"
        sizes = self.dollars if inverse else self.coins
        if parts.settlement == "quanto" or (inverse and parts.quote != "USD"):
            sizes = {}
        return inverse, sizes.get(f"{parts.base}/{parts.quote}", sizes.get("*"))


_ONE = {"*": 1.0}
_HUNDRED = {"BTC/USD": 100.0, "*": 10.0}
_OKX = {"BTC/USDT": 0.01, "ETH/USDT": 0.1}
_VENUES = {
    "binance": _Venue("binance", "spot", coins=_ONE),
    "binance-futures": _Venue("binance", coins=_ONE),
    "binance-delivery": _Venue("binance", dollars=_HUNDRED),
    # Other options are traded in lots of 100 or 1000 coins, while their open interest is in coins.
    "binance-european-options": _Venue(
        "binance", coins={"BTC/USDT": 1.0, "ETH/USDT": 1.0, "BNB/USDT": 1.0}
    ),
    "bitget-futures": _Venue("bitget", coins=_ONE),
    "bitmex": _Venue("bitmex", dollars={"BTC/USD": 1.0}),
    "bybit": _Venue("bybit", coins=_ONE, dollars=_ONE),
    "bybit-options": _Venue("bybit", "option", coins=_ONE),
    "bybit-spot": _Venue("bybit", "spot", coins=_ONE),
    "coinbase-international": _Venue("coinbase", coins=_ONE),
    "cryptofacilities": _Venue("kraken", coins=_ONE, dollars=_ONE),
    "deribit": _Venue("deribit", coins=_ONE, dollars=_ONE),
    "dydx": _Venue("dydx", coins=_ONE),
    "dydx-v4": _Venue("dydx", coins=_ONE),
    "gate-io-futures": _Venue(
        "gate", coins={"BTC/USDT": 0.0001, "ETH/USDT": 0.01}, dollars={"BTC/USD": 1.0}
    ),
    "huobi-dm": _Venue("htx", dollars=_HUNDRED),
    "huobi-dm-linear-swap": _Venue("htx", coins={"BTC/USDT": 0.001, "ETH/USDT": 0.01}),
    "huobi-dm-swap": _Venue("htx", dollars=_HUNDRED),
    "hyperliquid": _Venue("hyperliquid", coins=_ONE),
    "kucoin-futures": _Venue(
        "kucoin", coins={"BTC/USDT": 0.001, "ETH/USDT": 0.01}, dollars={"BTC/USD": 1.0}
    ),
    "mexc-futures": _Venue("mexc", coins={"BTC/USDT": 0.0001, "ETH/USDT": 0.01}),
    "okex": _Venue("okx", "spot", coins=_ONE),
    "okex-futures": _Venue("okx", coins=_OKX, dollars=_HUNDRED),
    "okex-options": _Venue("okx"),
    "okex-swap": _Venue("okx", coins=_OKX, dollars=_HUNDRED),
}

_PRICE_KINDS = {
    "binance": "fill",
    "bitget": "bankruptcy",
    "bitmex": "bankruptcy",
    "bybit": "bankruptcy",
    "deribit": "fill",
    "dydx": "fill",
    "gate": "fill",
    "htx": "bankruptcy",
    "kraken": "fill",
    "okx": "bankruptcy",
}
# What each exchange's feed let through, and since when; absent: not known.
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_COMPLETENESS = (
    ("binance", _ALWAYS, "complete"),
    ("binance", datetime(2021, 4, 27, tzinfo=UTC), "throttled"),
    ("bitget", _ALWAYS, "aggregated"),
    ("bybit", _ALWAYS, "throttled"),
    ("bybit", datetime(2025, 2, 26, tzinfo=UTC), "complete"),
    ("deribit", _ALWAYS, "complete"),
    ("dydx", _ALWAYS, "complete"),
    ("gate", _ALWAYS, "throttled"),
    ("gate", datetime(2026, 8, 20, tzinfo=UTC), "complete"),
    ("kraken", _ALWAYS, "complete"),
    ("okx", _ALWAYS, "throttled"),
)
# Before this day Tardis gives Kraken's rates in quote units for one contract, not as fractions.
_KRAKEN_FRACTIONS = datetime(2022, 9, 29, tzinfo=UTC)


def recognises(source: Source) -> bool:
    """Return whether the header is that of one of Tardis' datasets."""
    header = source.first_row
    known = header == _TRADES_OR_LIQUIDATIONS or header in _LAYOUTS or _is_book(header)
    return known and source.packing != "parquet"


def read(source: Source) -> Rows:
    """Yield (kind, frame) piece by piece.

    Raises
    ------
    ArchiveError
        If the exchange or a contract's size is not known, or the file does not tell whether it
        holds trades or liquidations.
    """
    layout = _layout(source)
    rows: Callable[[pl.DataFrame], Rows] = (
        _Tickers() if layout == "derivative_ticker" else _READERS[layout]
    )
    instruments = _Instruments(source, layout)
    schema = {
        name: pl.String() if name in _WORDS else pl.Int64() if name in _STAMPS else pl.Float64()
        for name in source.first_row
    }
    for piece in source.csv(schema):
        stamped = piece.with_columns(_instant(name) for name in schema if name in _STAMPS)
        yield from rows(instruments.resolve(stamped))


def _is_book(header: tuple[str, ...]) -> bool:
    cells = [
        f"{side}[{level}].{value}"
        for level in range((len(header) - len(_FIRST)) // 4)
        for side in ("asks", "bids")
        for value in ("price", "amount")
    ]
    return bool(cells) and header == (*_FIRST, *cells)


def _layout(source: Source) -> str:
    header = source.first_row
    if header != _TRADES_OR_LIQUIDATIONS:
        return _LAYOUTS.get(header, "book_snapshot")
    # The two datasets have the same columns; the file's name, or else its folders, tell.
    for part in reversed(source.path.absolute().parts):
        if len(found := [word for word in ("trades", "liquidations") if word in part]) == 1:
            return found[0]
    raise ArchiveError(
        source.path,
        "Tardis' trades and liquidations have the same columns; keep 'trades' or 'liquidations' "
        "in the name of the file or of its folder, as Tardis gives it",
    )


def _instant(name: str) -> pl.Expr:
    stamp = pl.col(name)
    # Tardis writes microseconds; copies made by other programs carry nanoseconds.
    return pl.when(stamp >= 10**17).then(stamp // 1000).otherwise(stamp).cast(TIME)


class _Instruments:
    """Our exchange, symbol and size for each instrument of a file, each looked up once."""

    def __init__(self, source: Source, layout: str) -> None:
        self._source = source
        self._layout = layout
        self._known: dict[tuple[str, str], tuple[str, str | None, bool, float | None, str]] = {}

    def resolve(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of instruments that can be read, and reject the others."""
        pairs = frame.select("exchange", "symbol").unique().drop_nulls()
        for venue, name in pairs.iter_rows():
            if (venue, name) not in self._known:
                self._known[venue, name] = self._look_up(venue, name)
        found = pl.DataFrame(
            [(*pair, *values) for pair, values in self._known.items()],
            schema={
                "venue": pl.String,
                "name": pl.String,
                "exchange": pl.String,
                "symbol": pl.String,
                "dollars": pl.Boolean,
                "size": pl.Float64,
                "reason": pl.String,
            },
            orient="row",
        )
        native = frame.rename({"exchange": "venue", "symbol": "name"})
        joined = native.join(found, on=["venue", "name"], how="left", maintain_order="left")
        unread = joined["reason"].fill_null("") != ""
        for row in joined.filter(unread).select(*native.columns, "reason").iter_rows(named=True):
            self._source.reject(row.pop(LINE), row.pop("reason"), row)
        return joined.filter(~unread)

    def _look_up(self, name: str, symbol: str) -> tuple[str, str | None, bool, float | None, str]:
        venue = _VENUES.get(name)
        if venue is None:
            raise ArchiveError(
                self._source.path,
                f"the exchange {name!r} of Tardis is not known; known: {', '.join(_VENUES)}",
            )
        if venue.exchange == "htx" and self._layout == "trades":
            raise ArchiveError(
                self._source.path,
                "HTX counts a trade of futures once for the buyer and once for the seller, so "
                "its amounts would be twice too large; import trades of another exchange",
            )
        try:
            ours = unified(venue.exchange, symbol, market=venue.market)
        except UnknownSymbol as error:
            return venue.exchange, None, False, None, str(error)
        dollars, size = venue.size(ours)
        if size is None:
            listed = ", ".join([*venue.coins, *venue.dollars]).replace("*", "other pairs in USD")
            raise ArchiveError(
                self._source.path,
                f"the contract size of {symbol} on {name} is not known, and its amounts would be "
                "wrong. Tables of exchanges that count in coins or dollars can be imported; of "
                f"{name}: {listed or 'none'}",
            )
        return venue.exchange, ours, dollars, size, ""


def _amount(column: str, price: str | pl.Expr) -> pl.Expr:
    units = pl.col(column) * pl.col("size")
    return pl.when("dollars").then(units / price).otherwise(units)


def _dollars(column: str) -> pl.Expr:
    return pl.when("dollars").then(pl.col(column) * pl.col("size"))


class _Tickers:
    """Derivative tickers as three kinds; remembers each symbol's last values across pieces."""

    def __init__(self) -> None:
        self._last: dict[str, pl.DataFrame] = {}

    def __call__(self, frame: pl.DataFrame) -> Rows:
        prices = ("mark_price", "index_price", "last_price")
        yield "mark_price", self._changed("mark_price", frame, *prices).select(*_FACT, *prices)

        price = pl.coalesce("mark_price", "last_price", "index_price")
        yield (
            "open_interest",
            self._changed("open_interest", frame, "open_interest").select(
                *_FACT,
                amount=_amount("open_interest", price),
                value_usd=_dollars("open_interest"),
            ),
        )

        ahead = frame.filter(
            pl.col("funding_timestamp") > pl.col("timestamp"),
            (pl.col("exchange") != "kraken") | (pl.col("timestamp") >= _KRAKEN_FRACTIONS),
            pl.col("funding_rate").is_not_null(),
        )
        funding = self._changed("funding", ahead, "funding_rate", "funding_timestamp")
        yield (
            "funding",
            funding.select(
                *_FACT,
                rate="funding_rate",
                status=pl.lit("predicted"),
                settles="funding_timestamp",
            ),
        )

    def _changed(self, kind: str, frame: pl.DataFrame, *values: str) -> pl.DataFrame:
        stated = frame.filter(pl.any_horizontal(pl.col(value).is_not_null() for value in values))
        before = self._last.get(kind, stated.clear())
        rows = pl.concat([before, stated])
        self._last[kind] = rows.unique(["exchange", "symbol"], keep="last", maintain_order=True)
        differs = pl.any_horizontal(
            pl.col(value).ne_missing(pl.col(value).shift(1).over("exchange", "symbol"))
            for value in values
        )
        return rows.select(pl.all(), differs.alias("differs"))[before.height :].filter("differs")


def _liquidations(frame: pl.DataFrame) -> Rows:
    feed = pl.lit("unknown")
    for exchange, since, word in _COMPLETENESS:
        era = (pl.col("exchange") == exchange) & (pl.col("timestamp") >= since)
        feed = pl.when(era).then(pl.lit(word)).otherwise(feed)
    # Tardis gives the side of the forced order, whatever the exchange's own convention.
    side = pl.col("side").replace_strict({"sell": "long", "buy": "short"}, default=None)
    yield (
        "liquidation",
        frame.select(
            *_FACT,
            "price",
            "id",
            side=side,
            amount=_amount("amount", "price"),
            value_usd=_dollars("amount"),
            price_kind=pl.col("exchange").replace_strict(
                _PRICE_KINDS, default=None, return_dtype=pl.String
            ),
            completeness=feed,
        ),
    )


def _trades(frame: pl.DataFrame) -> Rows:
    yield (
        "trade",
        frame.select(*_FACT, "side", "price", id=_number(), amount=_amount("amount", "price")),
    )


def _number() -> pl.Expr:
    """Return a trade's id as a number: its digits, or what fits of a hexadecimal one.

    The first 60 bits of a UUID; of any other hexadecimal id the last 60, where the counter is.
    """
    text = pl.col("id")
    digits = text.str.replace_all("-", "")
    uuid = text.str.contains(r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")
    hexadecimal = text.str.contains(r"^[0-9a-f]{16,}$") & text.str.contains("[a-f]")
    return (
        pl.when(uuid)
        .then(digits.str.head(15).str.to_integer(base=16, strict=False))
        .when(hexadecimal)
        .then(digits.str.tail(15).str.to_integer(base=16, strict=False))
        .otherwise(text.str.extract(r"(\d{1,18})$").cast(pl.Int64, strict=False))
    )


def _option_quotes(frame: pl.DataFrame) -> Rows:
    # No bid is an empty cell or a zero; no order has a price, size or volatility of zero.
    sides = ("bid_price", "ask_price", "bid_amount", "ask_amount", "bid_iv", "ask_iv")
    quoted = frame.with_columns(pl.when(pl.col(name) != 0).then(name).name.keep() for name in sides)
    scale = pl.when(pl.col("exchange") == "deribit").then(0.01).otherwise(1.0)
    yield (
        "option_quote",
        quoted.select(
            *_FACT,
            "underlying_price",
            "bid_price",
            "ask_price",
            "mark_price",
            "last_price",
            *(pl.col(name) * pl.col("size") for name in ("bid_amount", "ask_amount")),
            pl.col("open_interest") * pl.col("size"),
            *((pl.col(name) * scale).alias(name) for name in ("bid_iv", "ask_iv", "mark_iv")),
            *("delta", "gamma", "vega", "theta", "rho"),
        ),
    )


def _quotes(frame: pl.DataFrame) -> Rows:
    yield "book_level", _levels(frame, {(side, 0): f"{side}_" for side in ("bid", "ask")})


def _book_snapshots(frame: pl.DataFrame) -> Rows:
    depth = sum(name.endswith(".price") for name in frame.columns) // 2
    places = {
        (side, level): f"{side}s[{level}]." for level in range(depth) for side in ("bid", "ask")
    }
    yield "book_level", _levels(frame, places)


def _levels(frame: pl.DataFrame, places: Mapping[tuple[str, int], str]) -> pl.DataFrame:
    """Return one row for each level, by line; a level without price is not there."""
    return pl.concat(
        frame.filter(pl.col(f"{cell}price").is_not_null()).select(
            *_FACT,
            pl.lit(side).alias("side"),
            pl.lit(level, pl.Int64).alias("level"),
            pl.col(f"{cell}price").alias("price"),
            _amount(f"{cell}amount", f"{cell}price").alias("amount"),
        )
        for (side, level), cell in places.items()
    ).sort(LINE, maintain_order=True)


_READERS: dict[str, Callable[[pl.DataFrame], Rows]] = {
    "book_snapshot": _book_snapshots,
    "liquidations": _liquidations,
    "options_chain": _option_quotes,
    "quotes": _quotes,
    "trades": _trades,
}
