"""How well a heat map recovers where positions really stand, on a market whose truth is known.

Each midnight of a simulation, the liquidation prices of all open positions are known. Their
dollars are put into bands of 0.5 % of log price around the mark price, and so are those of a map
made from what was published until then. Two figures compare them, over the bands within reach:

- *rank correlation*, Spearman's: does the map know which bands hold more than others?
- *overlap*, the share of mass in the right band: with both scaled to one, the sum over bands of
  the lesser of the two.

Three maps are compared: with the leverage mix that traders really open with; with equal weights;
and one that knows no flows at all, the mean of the truth itself, by distance from the price, over
the midnights before. The last is a baseline no real market offers: it has seen the truth.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll import maps
from plimsoll.analytics.inventory import Parameters
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plimsoll.analytics.heatmap import HeatMap

    Floats = NDArray[np.float64]

__all__ = ["MAPS", "banded", "mixes", "overlap", "rank_correlation", "recovery"]

MAPS = ("true mix", "equal weights", "distance only")
BAND = 0.005
REACH = 0.20
_WARM = 7
"""Midnights passed over at first, while the map fills and the baseline learns."""


def recovery(store: Path, coin: str) -> pl.DataFrame:
    """Score the maps of a simulated coin's perpetuals against the truth.

    Parameters
    ----------
    store : Path
        A store that was simulated.
    coin : str

    Returns
    -------
    DataFrame
        `scenario`, `exchange`, `symbol`, `map`, `midnights`, and means over them of
        `rank_correlation` and `overlap`.

    Raises
    ------
    NoSuchData
        If the store was not simulated, or not this coin.
    ValueError
        If it spans too few days.
    """
    truth, reader = Truth(store), Reader(store)
    positions = truth.read(coin, "positions")
    rows: list[dict[str, Any]] = []
    for venue in truth.note["parameters"]["scenario"]["venues"]:
        inverse = venue["settlement"] == "inverse"
        symbol = f"{coin}/USD:{coin}" if inverse else f"{coin}/USDT:USDT"
        market = positions.filter(exchange=venue["name"], symbol=symbol)
        scores = _scores(reader, venue, symbol, market)
        rows += [
            {
                "scenario": truth.note["scenario"],
                "exchange": venue["name"],
                "symbol": symbol,
                "map": name,
                "midnights": len(found),
                "rank_correlation": float(np.mean([score[0] for score in found])),
                "overlap": float(np.mean([score[1] for score in found])),
            }
            for name, found in scores.items()
        ]
    return pl.DataFrame(rows)


def _scores(
    reader: Reader, venue: dict[str, Any], symbol: str, positions: pl.DataFrame
) -> dict[str, list[tuple[float, float]]]:
    """Return the scores of each map at each midnight."""
    midnights = positions["time"].unique().sort()
    if len(midnights) < _WARM + 3:
        raise ValueError(f"recovery needs {_WARM + 3} days or more; got {len(midnights)}")
    first = midnights[_WARM]
    drawn = {
        name: _map(reader, venue["name"], symbol, parameters, first)
        for name, parameters in mixes(venue).items()
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in MAPS}
    past: list[Floats] = []
    for midnight in midnights:
        now = positions.filter(pl.col("time") == midnight)
        mark = float(now["mark_price"][0])
        real = _real(now, venue, mark)
        if len(past) >= _WARM:
            guesses = {name: _column(made, midnight, mark) for name, made in drawn.items()}
            guesses["distance only"] = np.mean([one / one.sum() for one in past], axis=0)
            known = {name: guess for name, guess in guesses.items() if guess is not None}
            if len(known) == len(MAPS):  # a midnight counts for all maps or for none
                for name, guess in known.items():
                    found[name].append((rank_correlation(guess, real), overlap(guess, real)))
        past.append(real)
    return found


def mixes(venue: dict[str, Any]) -> dict[str, Parameters]:
    """Return the model with the tiers traders choose from, as often as they do, and equally.

    Parameters
    ----------
    venue : dict
        As `Truth.note` has it among the scenario's.

    Returns
    -------
    dict of str to Parameters
        `true mix`, how often traders choose when the mood is neutral, and `equal weights`.
    """
    chosen = [
        (leverage, weight)
        for leverage, weight in zip(venue["leverage"], venue["mix"], strict=True)
        if weight > 0
    ]
    total = sum(weight for _, weight in chosen)
    tiers = tuple(leverage for leverage, _ in chosen)
    settled = {
        "leverage": tiers,
        "maintenance": venue["brackets"][0][1],
        "settlement": venue["settlement"],
        "liquidatable": 1.0,
    }
    true = tuple(weight / total for _, weight in chosen)
    equal = (1 / len(tiers),) * len(tiers)
    return {
        "true mix": Parameters(weights=true, **settled),
        "equal weights": Parameters(weights=equal, **settled),
    }


def _map(
    reader: Reader, exchange: str, symbol: str, parameters: Parameters, since: datetime
) -> HeatMap:
    return maps.heatmap(
        reader,
        symbol,
        [exchange],
        span=(since, None, None),
        interval=timedelta(minutes=5),
        rows=None,
        parameters=parameters,
    )


def _column(drawn: HeatMap, midnight: datetime, mark: float) -> Floats | None:
    """Return what a map showed at a moment, in bands; None if it has no such column."""
    wanted = np.datetime64(midnight.astimezone(UTC).replace(tzinfo=None), "us")
    at = int(np.searchsorted(drawn.time, wanted))
    if at == len(drawn.time):
        at -= 1  # the last midnight ends the last bar: its column is the newest there is
    if abs(drawn.time[at] - wanted) > np.timedelta64(5, "m") or not drawn.known[at]:
        return None
    middle = np.sqrt(drawn.edges[:-1] * drawn.edges[1:])
    return banded(middle, drawn.long_usd[at] + drawn.short_usd[at], mark)


def _real(positions: pl.DataFrame, venue: dict[str, Any], mark: float) -> Floats:
    """Return the dollars of open positions by the band of their liquidation price."""
    known = positions.filter(pl.col("liquidation_price").is_not_null())
    size = pl.col("lots") * pl.col("lot")
    usd = known.select(size if venue["settlement"] == "inverse" else size * mark).to_series()
    return banded(known["liquidation_price"].to_numpy(), usd.to_numpy(), mark)


def banded(price: Floats, usd: Floats, mark: float) -> Floats:
    """Return dollars by band of log price around a mark price.

    Parameters
    ----------
    price : ndarray, shape (n,), quote per base
    usd : ndarray, shape (n,), US dollars
    mark : float, quote per base

    Returns
    -------
    ndarray, shape (bands,), US dollars
        From −20 % to 20 % of log price, in bands of 0.5 %; what lies beyond is left out.

    Examples
    --------
    >>> banded(np.array([99.9, 99.8, 150.0]), np.array([1.0, 2.0, 4.0]), 100.0)[39:41]
    array([3., 0.])
    """
    bands = round(2 * REACH / BAND)
    edges = np.linspace(-REACH, REACH, bands + 1)
    return np.histogram(np.log(price / mark), bins=edges, weights=usd)[0]


def rank_correlation(guess: Floats, real: Floats) -> float:
    """Return Spearman's rank correlation; ties share their mean rank.

    Parameters
    ----------
    guess, real : ndarray, shape (n,)

    Returns
    -------
    float
        NaN where one of them is constant.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 30.0]))
    1.0
    """
    frame = pl.DataFrame({"guess": guess, "real": real})
    return float(frame.select(pl.corr("guess", "real", method="spearman")).item())


def overlap(guess: Floats, real: Floats) -> float:
    """Return the share of mass that stands in the right band, both scaled to one.

    Parameters
    ----------
    guess, real : ndarray, shape (n,)
        Not negative.

    Returns
    -------
    float
        From 0 to 1; NaN where one of them is nothing.

    Examples
    --------
    >>> overlap(np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    0.75
    """
    if guess.sum() <= 0 or real.sum() <= 0:
        return float("nan")
    return float(np.minimum(guess / guess.sum(), real / real.sum()).sum())
