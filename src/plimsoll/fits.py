"""What a store's liquidations and positions say of its maps: the leverage mix, and the match.

A score is kept beside the tables, in STORE/scores/EXCHANGE/SYMBOL.json, and goes with every map of
that market from then on.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll import brackets, maps
from plimsoll.analytics import distances as learnt
from plimsoll.analytics import measured as real
from plimsoll.analytics.cells import trial as count
from plimsoll.analytics.fitting import WARM, fitted_together
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import Asked, rows_of
from plimsoll.validation import heatmap_score
from plimsoll.validation.heatmap_score import LEARN

if TYPE_CHECKING:
    from plimsoll.analytics.cells import Trial
    from plimsoll.analytics.distances import Distances
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.inventory import Parameters
    from plimsoll.analytics.measured import Measured
    from plimsoll.maps import History, Market, Span
    from plimsoll.store.layout import Layout
    from plimsoll.store.reader import Reader
    from plimsoll.validation.heatmap_score import HeatmapScore

__all__ = ["distances", "fit", "measured", "score"]


def fit(
    reader: Reader,
    market: str,
    exchanges: list[str],
    *,
    span: Span,
    interval: timedelta | None,
) -> dict[Market, Fitted]:
    """Fit the leverage mix of one market, or of several together.

    Parameters
    ----------
    reader : Reader
    market : str
        A symbol, or a coin.
    exchanges : list of str
        All that are stored if empty.
    span, interval
        As of `maps.heatmap`.

    Returns
    -------
    dict
        By exchange and symbol. A market without a liquidation stored keeps its prior, and says so;
        of several, one whose bars cannot be fitted is left out.

    Raises
    ------
    NoSuchData, ValueError
        As `maps.heatmap`.
    """
    made = maps.histories(reader, market, exchanges, span=span, interval=interval)
    trials: dict[Market, Trial] = {}
    wrong: list[ValueError] = []
    for one, held in made.items():
        try:
            trials[one] = _trial(reader, held, span)
        except ValueError as error:
            wrong.append(error)
    if not trials:
        raise wrong[0]
    found = fitted_together(list(trials.values()))
    return {
        one: replace(fit, exchange=one[0], symbol=one[1])
        for one, fit in zip(trials, found, strict=True)
    }


def score(
    reader: Reader,
    symbol: str,
    exchange: str | None,
    *,
    span: Span,
    interval: timedelta | None,
    every: int,
) -> HeatmapScore:
    """Score a market's fitted map against its liquidations, and keep the score.

    Parameters
    ----------
    reader : Reader
    symbol : str
    exchange : str or None
        None for the only one.
    span, interval
        As of `maps.heatmap`.
    every : int, days
        How often the forecasts are fitted again.

    Raises
    ------
    NoSuchData
        If no liquidation of it is stored.
    ValueError
        If several markets could be meant, or there are too few days.
    """
    held = maps.history(reader, symbol, exchange, span=span, interval=interval)
    tried = _trial(reader, _unscored(reader, held, span), span)
    if not tried.orders.sum():
        raise NoSuchData(
            f"no liquidation of {held.exchange} {symbol} is stored in that span: without any, a "
            f"map cannot be scored; record some with: plimsoll record {held.exchange} --kinds "
            "liquidation"
        )
    found = heatmap_score.score(tried, every=every)
    with suppress(OSError):  # a store that may only be read
        _keep(reader.layout, held, found)
    return found


def measured(
    reader: Reader,
    symbol: str,
    exchange: str | None,
    *,
    span: Span,
    parameters: Parameters | None,
) -> Measured:
    """Return the measured positions of one market beside what its map says.

    Parameters
    ----------
    reader : Reader
    symbol : str
    exchange : str or None
        None for the only one whose wallets were read.
    span
        As of `maps.heatmap`; its end chooses the column.
    parameters : Parameters or None
        Of the map.

    Raises
    ------
    NoSuchData
        If no position of it is stored.
    ValueError
        If several markets could be meant, or none of the columns is known.
    """
    Symbol.parse(symbol)
    _, until, as_of = span
    asked = Asked([exchange] if exchange else [], None, until, as_of)
    rows = rows_of(reader, "position", symbol, asked)
    where = rows["exchange"].unique().sort().to_list()
    if len(where) > 1:
        raise ValueError(f"one market is meant; say which with exchange: {', '.join(where)}")
    (standing,), _ = maps.standing(
        reader, symbol, where, span=span, interval=None, parameters=parameters
    )
    return real.measured(rows, standing)


def distances(
    reader: Reader, market: str, exchanges: list[str], *, span: Span, interval: timedelta | None
) -> dict[Market, Distances]:
    """Learn the leverage mix of markets from measured positions of their coin.

    Parameters
    ----------
    reader, market, exchanges, span, interval
        As of `maps.heatmap`.

    Returns
    -------
    dict
        By exchange and symbol. A market of which no wallets were read, or too few, has the
        distances of all of its coin, as they age on its own prices.

    Raises
    ------
    NoSuchData
        If no position of the coin is stored, as well.
    ValueError
        If they are too few, as well.
    """
    made = maps.histories(reader, market, exchanges, span=span, interval=interval)
    _, until, as_of = span
    rows = rows_of(
        reader, "position", market.split("/", maxsplit=1)[0], Asked([], None, until, as_of)
    )
    found = {}
    for one in made.values():
        own = rows.filter(exchange=one.exchange, symbol=one.symbol)
        found[one.exchange, one.symbol] = _measured_distances(own, rows, one)
    return found


def _measured_distances(own: pl.DataFrame, all_: pl.DataFrame, of: History) -> Distances:
    """Return the distances of a market's own wallets, or of all of its coin where these are few."""
    with suppress(ValueError):
        return learnt.distances(own, of.parameters, of.bars)
    return learnt.distances(all_, of.parameters, of.bars)


def _unscored(reader: Reader, held: History, span: Span) -> History:
    """Return a history with the sizes that were known before the first day that can be scored."""
    times = held.bars["time"]
    learnt = times[0].replace(hour=0, minute=0, second=0, microsecond=0)
    until = min(held.since, learnt + timedelta(days=WARM + LEARN))
    seen = until - maps.WARM_UP, until, span[2]
    known = brackets.priors(reader, (held.exchange, held.symbol), (times[0], times[-1]), seen)
    return replace(held, parameters=known)


def _trial(reader: Reader, held: History, span: Span) -> Trial:
    _, until, as_of = span
    try:
        rows = reader.read(
            "liquidation",
            exchanges=[held.exchange],
            symbol=held.symbol,
            since=held.bars["time"][0],
            until=until,
            as_of=as_of,
        )
    except NoSuchData:
        rows = pl.DataFrame(schema=TABLES["liquidation"].schema)
    return count(held.bars, rows, held.parameters)


def _keep(layout: Layout, held: History, found: HeatmapScore) -> None:
    place = layout.score(held.exchange, held.symbol)
    place.parent.mkdir(parents=True, exist_ok=True)
    times = held.bars["time"]
    words = {
        "scored_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "since": times[0].isoformat(),
        "until": times[-1].isoformat(),
        **found.summary,
    }
    aside = place.with_suffix(".new")
    aside.write_text(json.dumps(words) + "\n", encoding="utf-8")
    aside.replace(place)
