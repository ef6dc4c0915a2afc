"""Simulated minutes a second: the compiled clock against the same code, not compiled."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from unittest.mock import patch

from benchmarks.measure import MIB, apart, clocked, report, spread

__all__ = ["run"]

COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE")
YEAR = 365
VENUES = 3
MINUTES = 20_000
PLAIN = 60
REPEATS = 3


def run() -> dict[str, object]:
    """Time a year of five coins, and one coin by both kinds of code."""
    with patch.dict(os.environ, {"NUMBA_DISABLE_JIT": "1"}):
        plain = [apart(__name__, "coin", PLAIN)["seconds"] / PLAIN for _ in range(REPEATS)]
    apart(__name__, "coin", 1)  # compiles
    ours = [apart(__name__, "coin", MINUTES)["seconds"] / MINUTES for _ in range(REPEATS)]
    years = [apart(__name__, "year") for _ in range(REPEATS)]
    bars = YEAR * 1_440 * len(COINS) * VENUES
    ratios = [theirs / mine for mine, theirs in zip(ours, plain, strict=True)]
    return {
        "compared": f"SOL on {VENUES} exchanges, {MINUTES:,} minutes compiled against {PLAIN} of "
        f"the same code not compiled; and {YEAR} days of {len(COINS)} coins on {VENUES} exchanges "
        "with dated futures, options, all published tables and the truth, not stored",
        "aim": "a year below 60 s and 2 GiB on 2 cores",
        "bars_a_second_per_market": spread([1 / seconds for seconds in ours], digits=0),
        "plain_over_compiled": spread(ratios, digits=0),
        "year_seconds": spread([year["seconds"] for year in years], digits=1),
        "year_bars_a_second": spread([bars / year["seconds"] for year in years], digits=0),
        "year_peak_mib": spread([year["peak"] / MIB for year in years], digits=0),
    }


def _coin(minutes: int) -> float:
    """Return the seconds that minutes of one coin take, once it stands."""
    from plimsoll.simulation import market  # noqa: PLC0415 (the parent must stay small)
    from plimsoll.simulation.scenarios import COINS as KNOWN  # noqa: PLC0415
    from plimsoll.simulation.scenarios import SCENARIOS  # noqa: PLC0415
    from plimsoll.simulation.simulation import START  # noqa: PLC0415

    unseen = timedelta(minutes=10)  # a burn-in of days would take the plain code hours
    with patch.object(market, "BURN_IN", unseen):
        made = market.Market(SCENARIOS["calm"], KNOWN["SOL"], seed=1, start=START, days=30)
    return clocked(made.advance, minutes)[0]


def _year() -> float:
    """Return the seconds that a year of five coins takes."""
    from plimsoll.simulation import scenarios  # noqa: PLC0415 (the parent must stay small)
    from plimsoll.simulation.simulation import Simulation  # noqa: PLC0415

    made = Simulation(scenarios.scenario("bull"), scenarios.coins(COINS), days=YEAR)
    return clocked(lambda: sum(piece.minutes for piece in made.run()))[0]


if __name__ == "__main__":
    report(_year() if sys.argv[1] == "year" else _coin(int(sys.argv[2])))
