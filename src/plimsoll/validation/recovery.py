"""How well a heat map recovers where positions really stand, on a market whose truth is known.

Each midnight of a simulation, the liquidation prices of all open positions are known. Their
dollars are put into bands around the mark price, and so are those of a map made from what was
published until then; `analytics.matching` has the two figures that compare them.

Maps with six mixes of leverage are compared: with that which traders really open with; with equal
weights; with the priors; with the distances of the positions measured in the first week, where some
exchange of the coin shows any, and with those of both sides and all ages together; and one that
knows no flows at all, the mean of the truth itself, by distance from the price, over the midnights
before. The last is a baseline no real market offers: it has seen the truth.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from msgspec import structs

from plimsoll import brackets, maps
from plimsoll.analytics.distances import distances
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.matching import banded, overlap, rank_correlation
from plimsoll.errors import NoSuchData
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import Asked, rows_of
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plimsoll.analytics.heatmap import HeatMap

    Floats = NDArray[np.float64]

__all__ = ["MAPS", "mixes", "recovery"]

MAPS = (
    "true mix",
    "equal weights",
    "prior",
    "measured distances",
    "pooled distances",
    "distance only",
)
_BAR = timedelta(minutes=5)
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
        for name, parameters in _models(reader, venue, symbol, first).items()
    }
    found: dict[str, list[tuple[float, float]]] = {
        name: [] for name in MAPS if name in {*drawn, "distance only"}
    }
    past: list[Floats] = []
    for midnight in midnights:
        now = positions.filter(pl.col("time") == midnight)
        mark = float(now["mark_price"][0])
        real = _real(now, venue, mark)
        if len(past) >= _WARM:
            guesses = {name: _column(made, midnight, mark) for name, made in drawn.items()}
            guesses["distance only"] = np.mean([one / one.sum() for one in past], axis=0)
            known = {name: guess for name, guess in guesses.items() if guess is not None}
            if len(known) == len(found):  # a midnight counts for all maps or for none
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


def _models(
    reader: Reader, venue: dict[str, Any], symbol: str, first: datetime
) -> dict[str, Parameters | None]:
    """Return the models whose maps are compared; None is the default prior."""
    seen = first - maps.WARM_UP, first, None
    prior = brackets.priors(reader, (venue["name"], symbol), (first, first), seen)
    required = {"maintenance": prior.maintenance, "sizes": prior.sizes}
    made: dict[str, Parameters | None] = {"prior": None}
    for name, mix in mixes(venue).items():
        made[name] = structs.replace(mix, **required)
    with suppress(NoSuchData):
        asked = Asked([], None, first, first)
        positions = rows_of(reader, "position", Symbol.parse(symbol).base, asked)
        even = made["equal weights"] or prior
        span = (None, first, first)
        known = maps.history(reader, symbol, venue["name"], span=span, interval=_BAR)
        learnt = brackets.measured(reader, positions, (venue["name"], symbol), even)
        found = distances(learnt, even, known.bars)
        made["measured distances"], made["pooled distances"] = found.parameters, found.pooled
    return made


def _map(
    reader: Reader, exchange: str, symbol: str, parameters: Parameters | None, since: datetime
) -> HeatMap:
    return maps.heatmap(
        reader,
        symbol,
        [exchange],
        span=(since, None, None),
        interval=_BAR,
        rows=None,
        parameters=parameters,
    )


def _column(drawn: HeatMap, midnight: datetime, mark: float) -> Floats | None:
    """Return what a map showed at a moment, in bands; None if it has no such column."""
    wanted = np.datetime64(midnight.astimezone(UTC).replace(tzinfo=None), "us")
    at = int(np.searchsorted(drawn.time, wanted))
    if at == len(drawn.time):
        at -= 1  # the last midnight ends the last bar: its column is the newest there is
    if abs(drawn.time[at] - wanted) > np.timedelta64(_BAR) or not drawn.known[at]:
        return None
    middle = np.sqrt(drawn.edges[:-1] * drawn.edges[1:])
    return banded(middle, drawn.long_usd[at] + drawn.short_usd[at], mark)


def _real(positions: pl.DataFrame, venue: dict[str, Any], mark: float) -> Floats:
    """Return the dollars of open positions by the band of their liquidation price."""
    known = positions.filter(pl.col("liquidation_price").is_not_null())
    size = pl.col("lots") * pl.col("lot")
    usd = known.select(size if venue["settlement"] == "inverse" else size * mark).to_series()
    return banded(known["liquidation_price"].to_numpy(), usd.to_numpy(), mark)
