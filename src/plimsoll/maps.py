"""What a store holds of markets, made into their heat map, and into what stands now."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from msgspec import structs

from plimsoll import brackets
from plimsoll.analytics import bars as timeline
from plimsoll.analytics import heatmap as model
from plimsoll.analytics.aggregate import together
from plimsoll.analytics.fitting import Fitted
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.provenance import Standing, stands
from plimsoll.analytics.tiers import some_of
from plimsoll.analytics.windows import price_range
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.progress import staged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from plimsoll.analytics.distances import Distances
    from plimsoll.analytics.tiers import Ranges
    from plimsoll.store.layout import Layout
    from plimsoll.store.reader import Reader

    Chosen = Parameters | Mapping[tuple[str, str], Fitted | Distances] | None

__all__ = [
    "IMPLIED",
    "MARKED",
    "SHOWN",
    "WARM_UP",
    "History",
    "heatmap",
    "histories",
    "history",
    "latest",
    "standing",
]

IMPLIED = "open interest, its value over its amount"
MARKED = "crossed on the mark price where it is known"
"""Where prices come from, but for candles."""
WARM_UP = timedelta(days=30)
"""How much history before the first column fills the inventory."""
SHOWN = timedelta(days=30)
"""How much is shown where nobody says since when."""
_REACH = timedelta(days=1)
"""How far from where they are needed candles may begin and still be preferred."""

Span = tuple[datetime | None, datetime | None, datetime | None]
Shown = tuple[datetime, datetime | None, datetime | None]
Market = tuple[str, str]
"""Exchange and symbol."""
_SETTLEMENTS = ("linear", "inverse")
_Found = TypeVar("_Found")


def heatmap(
    reader: Reader,
    market: str,
    exchanges: list[str],
    *,
    span: Span,
    interval: timedelta | None,
    rows: int | None,
    parameters: Chosen,
    leverage: Ranges | None = None,
) -> model.HeatMap:
    """Return the map of one market, or of several together.

    Parameters
    ----------
    reader : Reader
    market : str
        A symbol, or a coin for all its linear and inverse contracts in dollars.
    exchanges : list of str
        All that are stored if empty.
    span : tuple of since, until and as_of
        In UTC; None for the last 30 days, for no end, and for what is known now.
    interval : timedelta or None
        The length of a bar; None for the shortest that the data of all markets allow.
    rows : int or None
        Join price rows to at most this many; None for one a bucket.
    parameters : Parameters, mapping or None
        None for the priors; a mapping has what was fitted to each market, or learnt of it from
        measured positions. The settlement is always that of the contract.
    leverage : tuple of (float, float), or None
        The tiers shown, as `tiers.ranges` returns them; None for all.

    Returns
    -------
    HeatMap
        Of several markets, what `aggregate.together` makes of their maps. A market that alone has
        no map in this span is in `absent`.

    Raises
    ------
    NoSuchData
        If no open interest is stored for that span.
    ValueError
        If the symbol is no linear or inverse contract, a bar is shorter than the step of open
        interest, or no market has a tier of that leverage.
    """
    wanted = _markets(reader, market, exchanges)
    made = histories(reader, market, exchanges, span=span, interval=interval)
    some_of([_model(one, parameters)[0].leverage for one in made.values()], leverage)
    if len(wanted) == 1:
        drawn_alone = _draw(made[wanted[0]], parameters, rows=rows, leverage=leverage)
        return replace(drawn_alone, score=latest(reader.layout, *wanted[0]))
    since = min(one.since for one in made.values())
    ranges = [price_range(one.shown) for one in made.values()]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    columns = pl.concat(one.shown["time"] for one in made.values()).unique().sort()
    drawn = (  # one at a time: a map is large
        _draw(one, parameters, low=low, high=high, rows=rows, leverage=leverage)
        for one in staged("drawing", made.values())
    )
    absent = _absent(wanted, made, since)
    whole = together(drawn, columns.to_numpy(), _reference(made.values(), columns))
    return replace(whole, symbol=market, absent=absent)


def histories(
    reader: Reader,
    market: str,
    exchanges: list[str],
    *,
    span: Span,
    interval: timedelta | None,
) -> dict[Market, History]:
    """Return what a store holds of each market that is meant; arguments and errors of `heatmap`."""
    since, until, as_of = span
    wanted = _markets(reader, market, exchanges)
    held = _each(wanted, lambda one: _held(reader, one, span))
    since = since or max(_last(rows) for rows in held.values()) - SHOWN
    asked = (since, until, as_of)
    found = _each(held, lambda one: _stored(reader, one, held[one], asked))
    if len(found) > 1 and interval is None:
        interval = max(_each(found, lambda one: found[one].length(None)).values())
    return _each(found, lambda one: found[one].history(reader, interval))


def latest(layout: Layout, exchange: str, symbol: str) -> dict[str, Any] | None:
    """Return the newest score of a market's map, as `fits.score` kept it; None without one."""
    try:
        found: dict[str, Any] = json.loads(layout.score(exchange, symbol).read_bytes())
    except (OSError, ValueError):
        return None
    return found


def standing(
    reader: Reader,
    market: str,
    exchanges: list[str],
    *,
    span: Span,
    interval: timedelta | None,
    parameters: Chosen,
    leverage: Ranges | None = None,
) -> tuple[list[Standing], tuple[str, ...]]:
    """Return what stands in the last known column of each market, and which have none.

    See `heatmap`.

    Raises
    ------
    NoSuchData
        If no open interest is stored for that span.
    ValueError
        If the symbol is no linear or inverse contract, a bar is shorter than the step of open
        interest, or no market has a known column, or a tier of that leverage.
    """
    _, until, as_of = span

    def stand(one: Market) -> Standing:
        held = _held(reader, one, (None, until, as_of))
        stored = _stored(reader, one, held, (_last(held) - _REACH, until, as_of))
        known = stored.history(reader, interval)
        chosen, fit, told = _model(known, parameters)
        found = stands(known.bars, chosen, fit)
        return replace(found, exchange=known.exchange, symbol=known.symbol, distances=told)

    wanted = _markets(reader, market, exchanges)
    made = _each(wanted, stand, "drawing")
    some_of([one.parameters.leverage for one in made.values()], leverage)
    newest = max(one.time for one in made.values())
    return [one.only(leverage) for one in made.values()], _absent(wanted, made, newest)


@dataclass(frozen=True, eq=False)
class History:
    """What a store holds of a market, as a map is made from it.

    Attributes
    ----------
    bars : DataFrame
        As `analytics.bars` makes them.
    since : datetime
        Where what is asked for starts; earlier bars fill the inventory.
    parameters : Parameters
        The priors, with the instrument's settlement and brackets; see `brackets.priors`.
    exchange, symbol : str
    prices : str
        Where prices come from.
    """

    bars: pl.DataFrame
    since: datetime
    parameters: Parameters
    exchange: str
    symbol: str
    prices: str

    @property
    def shown(self) -> pl.DataFrame:
        """The bars from `since` on."""
        return self.bars.filter(pl.col("time") >= self.since)


def history(
    reader: Reader,
    symbol: str,
    exchange: str | None,
    *,
    span: Span,
    interval: timedelta | None,
) -> History:
    """Return what a store holds of one market; arguments and errors as of `heatmap`.

    Raises
    ------
    ValueError
        If several markets could be meant, as well.
    """
    found = _markets(reader, symbol, [exchange] if exchange else [])
    if len(found) > 1:
        names = ", ".join(" ".join(one) for one in found)
        raise ValueError(f"one market is meant; say which with exchange: {names}")
    made = histories(reader, symbol, [found[0][0]], span=span, interval=interval)
    return made[found[0]]


def _reference(made: Iterable[History], columns: pl.Series) -> NDArray[np.float64]:
    """Return the opens of the market with the most open interest, perpetuals first."""

    def weight(one: History) -> tuple[bool, float]:
        usd = one.bars.select((pl.col("open_interest") * pl.col("close")).drop_nulls().last())
        return Symbol.parse(one.symbol).expiry is None, usd.item() or 0.0

    opens = max(made, key=weight).bars.select("time", "open")
    times = pl.DataFrame({"time": columns})
    joined = times.join(opens, on="time", how="left", maintain_order="left")["open"]
    return joined.fill_null(float("nan")).to_numpy()


def _absent(wanted: Iterable[Market], made: Container[Market], since: datetime) -> tuple[str, ...]:
    """Return the markets that could not be made, but for futures that had expired by then."""
    expiries = {one: Symbol.parse(one[1]).expiry for one in wanted if one not in made}
    return tuple(
        " ".join(one) for one, expiry in expiries.items() if expiry is None or since.date() < expiry
    )


def _each(
    markets: Collection[Market], make: Callable[[Market], _Found], stage: str = "reading"
) -> dict[Market, _Found]:
    """Return what can be made of each market; of none, say what was wrong with the first."""
    made: dict[Market, _Found] = {}
    wrong: list[NoSuchData | ValueError] = []
    for one in staged(stage, markets):
        try:
            made[one] = make(one)
        except (NoSuchData, ValueError) as error:
            wrong.append(error)
    if not made:
        raise wrong[0]
    return made


def _markets(reader: Reader, market: str, exchanges: list[str]) -> list[Market]:
    """Return the markets meant, sorted, so that sums do not depend on how they were asked for."""
    if "/" in market and Symbol.parse(market).settlement not in _SETTLEMENTS:
        raise ValueError(f"{market} is no linear or inverse contract: it has no such map")
    found = set()
    coin = market.split("/", maxsplit=1)[0]
    for series in reader.series("open_interest", exchanges, coin=coin):
        parts = Symbol.parse(series.symbol)
        dollars = parts.base == market and "USD" in parts.quote  # or a stablecoin
        meant = series.symbol == market if "/" in market else dollars
        if meant and parts.settlement in _SETTLEMENTS and parts.kind != "option":
            found.add((series.exchange, series.symbol))
    if not found and "/" in market:
        reader.read("open_interest", exchanges=exchanges, symbol=market)  # which says what is
    if not found:
        raise NoSuchData(
            "no open interest is stored of a linear or inverse contract in dollars of "
            f"{reader.called(market)}"
        )
    return sorted(found)


def _held(reader: Reader, market: Market, span: Span) -> pl.DataFrame:
    exchange, symbol = market
    since, until, as_of = span
    held = reader.read(
        "open_interest",
        exchanges=[exchange],
        symbol=symbol,
        since=None if since is None else since - WARM_UP,
        until=until,
        as_of=as_of,
    )
    if not held.height:
        raise NoSuchData(f"no open interest of {exchange} {symbol} is stored in that span")
    return held


def _last(held: pl.DataFrame) -> datetime:
    last: datetime = held.select(pl.col("time").max()).item()
    return last


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """The rows of a market from the warm-up on, and since when it can be shown."""

    market: Market
    held: pl.DataFrame
    candles: pl.DataFrame
    marks: pl.DataFrame
    first: datetime
    since: datetime
    until: datetime | None
    as_of: datetime | None

    def length(self, interval: timedelta | None) -> timedelta:
        """Return the length of a bar; the shortest the data allow if none is asked for."""
        early = self.held.filter(pl.col("time") <= max(self.since, self.first + _REACH))
        candles = self.usable(interval)
        length = interval or timeline.shortest_interval(candles, early)
        if length < (usual := timeline.shortest_interval(candles.clear(), early)):
            raise ValueError(
                f"open interest is reported every {usual}: bars of {length} are too short"
            )
        return length

    def history(self, reader: Reader, interval: timedelta | None) -> History:
        """Return the rows as bars."""
        length, candles = self.length(interval), self.usable(interval)
        until = self.until or _last(self.held) + length
        bars = timeline.bars(candles, self.held, length, self.first, until)
        bars = timeline.marked(bars, self.marks)
        priced = bars["open"].is_not_null().arg_true()
        bars = bars[: priced[-1] + 1] if priced.len() else bars  # then nothing is known
        exchange, symbol = self.market
        seen = self.since - WARM_UP, self.since, self.as_of
        priors = brackets.priors(reader, self.market, (bars["time"][0], bars["time"][-1]), seen)
        prices = _source(candles)
        if bars["mark_low"].count():
            prices += f", {MARKED}"
        made = History(bars, self.since, priors, exchange, symbol, prices)
        if len(made.shown) < 2 or not priced.len():
            raise ValueError(
                f"{exchange} {symbol} has no prices, or less than two bars of {length}, since "
                f"{self.since:%Y-%m-%d %H:%M}"
            )
        return made

    def usable(self, interval: timedelta | None) -> pl.DataFrame:
        """Return the shortest candles that fill the bars from the warm-up to what is shown.

        Without any, prices are those that open interest implies. Nothing after the first column
        has a say: more history later must not change what the map showed before.
        """
        for seconds in self.candles["interval"].unique().sort():
            length = timedelta(seconds=seconds)
            fills = interval is None or interval % length == timedelta(0)
            opens = self.candles.filter(pl.col("interval") == seconds)["time"]
            near = opens.is_between(self.since - _REACH, self.since + length)
            if fills and near.any() and (opens <= self.first + _REACH).any():
                return self.candles.filter(pl.col("interval") == seconds)
        return self.candles.clear()


def _stored(reader: Reader, market: Market, held: pl.DataFrame, span: Shown) -> _Stored:
    since, until, as_of = span
    held = held.filter(pl.col("time") >= since - WARM_UP)
    if held.is_empty():
        raise NoSuchData(f"no open interest of {' '.join(market)} is stored in that span")
    first: datetime = held.select(pl.col("time").min()).item()
    candles = _candles(reader, market, (first, until, as_of))
    return _Stored(
        market=market,
        held=held,
        candles=candles.filter(pl.col("price_kind") == "trade"),
        marks=candles.filter(pl.col("price_kind") == "mark"),
        first=first,
        since=max(since, first),
        until=until,
        as_of=as_of,
    )


def _draw(
    held: History,
    parameters: Chosen,
    *,
    low: float | None = None,
    high: float | None = None,
    rows: int | None,
    leverage: Ranges | None,
) -> model.HeatMap:
    chosen, fit, told = _model(held, parameters)
    shown: dict[str, Any] = {"low": low, "high": high, "rows": rows, "leverage": leverage}
    drawn = model.liquidation_map(held.bars, chosen, since=held.since, fit=fit, **shown)
    return replace(
        drawn, exchange=held.exchange, symbol=held.symbol, prices=held.prices, distances=told
    )


def _model(held: History, chosen: Chosen) -> tuple[Parameters, Fitted | None, Distances | None]:
    """Return the parameters asked for, with the settlement of the contract, and what told them."""
    if isinstance(chosen, Parameters):
        return structs.replace(chosen, settlement=held.parameters.settlement), None, None
    found = None if chosen is None else chosen.get((held.exchange, held.symbol))
    if found is None:
        return held.parameters, None, None
    if isinstance(found, Fitted):
        return found.parameters, found, None
    return found.parameters, None, found


def _source(candles: pl.DataFrame) -> str:
    if candles.is_empty():
        return IMPLIED
    return f"candles of {timedelta(seconds=candles['interval'][0])}"


def _candles(reader: Reader, market: Market, span: Span) -> pl.DataFrame:
    """Return candles of every length and kind of price stored; none where none are."""
    exchange, symbol = market
    since, until, as_of = span
    try:
        return reader.read(
            "candle", exchanges=[exchange], symbol=symbol, since=since, until=until, as_of=as_of
        )
    except NoSuchData:
        return pl.DataFrame(schema=TABLES["candle"].schema)
