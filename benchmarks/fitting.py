"""A quarter of minutes of five exchanges, fitted together."""

from __future__ import annotations

import json
import resource
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import plimsoll
from benchmarks.measure import MIB, apart, clocked, spread
from plimsoll import maps
from plimsoll.analytics.bars import bars
from plimsoll.analytics.cells import trial
from plimsoll.analytics.fitting import fitted_together
from plimsoll.simulation.simulation import START
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from plimsoll.analytics.cells import Trial

__all__ = ["run"]

DAYS = 90
SEEDS = (11, 12)
MARKETS = 5
REPEATS = 3


def run(days: int = DAYS, repeats: int = REPEATS) -> dict[str, object]:
    """Time the fit, each repeat in a process of its own; reading and compiling stand apart."""
    with TemporaryDirectory() as folder:
        for seed in SEEDS:
            store = plimsoll.open(Path(folder) / str(seed))
            store.simulate("crash", coins=("BTC",), days=days, seed=seed)
        made = [apart(__name__, folder) for _ in range(repeats)]
    return {
        "compared": f"the leverage mix of {MARKETS} markets of BTC, {days} days of bars of one "
        f"minute each, open interest every fifth ({made[0]['cells']:,} cells touched, "
        f"{made[0]['orders']:,} orders), all assumptions tried and 200 draws of each market, "
        "fitted together",
        "aim": "at most 60 s on 2 cores",
        "seconds": spread([one["seconds"] for one in made], digits=1),
        "reading_seconds": spread([one["reading"] for one in made], digits=1),
        "peak_mib": spread([one["peak"] / MIB for one in made], digits=0),
    }


def _trials(folder: Path) -> list[Trial]:
    """Return markets in bars of one minute, open interest known every fifth."""
    found = []
    for store in sorted(folder.iterdir()):
        reader = Reader(store)
        made = maps.histories(reader, "BTC", [], span=(START, None, None), interval=None)
        for (exchange, symbol), held in made.items():
            candles, interest, told = (
                reader.read(table, exchanges=[exchange], symbol=symbol)
                for table in ("candle", "open_interest", "liquidation")
            )
            traded = candles.filter(price_kind="trade", interval=60)
            end = held.bars["time"][-1]
            minutes = bars(traded, interest, timedelta(minutes=1), START, end)
            found.append(trial(minutes, told, held.parameters))
    return found[:MARKETS]


def _once(folder: Path) -> dict[str, float]:
    reading, trials = clocked(_trials, folder)
    fitted_together([trials[0]], draws=1)  # compiles
    seconds, _ = clocked(fitted_together, trials)
    return {
        "seconds": seconds,
        "reading": reading,
        "cells": sum(len(one.cells) for one in trials),
        "orders": int(sum(one.orders.sum() for one in trials)),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_once(Path(sys.argv[1]))))
