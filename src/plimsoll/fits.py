"""What a store's liquidations say of its maps: the leverage mix, fitted, and the score.

A score is kept beside the tables, in STORE/scores/EXCHANGE/SYMBOL.json, and goes with every map of
that market from then on.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from plimsoll import maps
from plimsoll.analytics.cells import trial as count
from plimsoll.analytics.fitting import fitted_together
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.validation import heatmap_score

if TYPE_CHECKING:
    from datetime import timedelta

    from plimsoll.analytics.cells import Trial
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.maps import History, Market, Span
    from plimsoll.store.layout import Layout
    from plimsoll.store.reader import Reader
    from plimsoll.validation.heatmap_score import HeatmapScore

__all__ = ["fit", "score"]


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
        By exchange and symbol. A market without a liquidation stored keeps its prior, and says so.

    Raises
    ------
    NoSuchData, ValueError
        As `maps.heatmap`.
    """
    made = maps.histories(reader, market, exchanges, span=span, interval=interval)
    found = fitted_together([_trial(reader, one, span) for one in made.values()])
    return {
        market: replace(one, exchange=market[0], symbol=market[1])
        for market, one in zip(made, found, strict=True)
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
    tried = _trial(reader, held, span)
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
