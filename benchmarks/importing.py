"""Import of trades against reading the CSV and writing Parquet, nothing else.

Plimsoll goes through its public door: unzip, recognize, check every row, encode,
make durable, seal, enter into the catalogue. Polars unzips, parses and writes.
"""

from __future__ import annotations

import io
import shutil
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.measure import MIB, apart, clocked, report, spread, versus
from plimsoll.ingest import import_files
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]

ROWS = 10_000_000
REPEATS = 5
NAME = "BTCUSDT-aggTrades-2026-01"
_FOLDER = "futures/um/monthly/aggTrades/BTCUSDT"
_START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
_CHUNK = 1_000_000


def run() -> dict[str, object]:
    """Return times and peaks of both sides at one size, and peaks at twice that size."""
    with TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        for place, rows in ((small, ROWS), (large, 2 * ROWS)):
            apart(__name__, "make", place, rows)  # elsewhere, to stay small
        sides = {side: [] for side in _SIDES}  # type: dict[str, list[dict[str, float]]]
        for _ in range(REPEATS):
            for side, measured in sides.items():
                measured.append(apart(__name__, side, small))
        twice = {side: apart(__name__, side, large) for side in _SIDES}
    return _figures(sides, twice)


def _figures(
    sides: dict[str, list[dict[str, float]]], twice: dict[str, dict[str, float]]
) -> dict[str, object]:
    seconds = {side: [one["seconds"] for one in runs] for side, runs in sides.items()}
    peaks = {side: max(one["peak"] for one in runs) / MIB for side, runs in sides.items()}
    return {
        "compared": f"{ROWS:,} rows of {NAME} into a new store, against Polars: read_csv and "
        "write_parquet with their defaults; both from the zip (Polars holds it unzipped in memory) "
        "and both from the csv unzipped before; importing the modules is not counted",
        "aim": "ratio at most 2; peak of plimsoll below 1024 MiB whatever the file's size",
        "ratio": versus(seconds["plimsoll_zip"], seconds["polars_zip"]),
        "ratio_unzipped": versus(seconds["plimsoll_csv"], seconds["polars_csv"]),
        "seconds": {side: spread(values) for side, values in seconds.items()},
        "peak_mib": {side: round(peak) for side, peak in peaks.items()},
        "twice_the_rows": {
            side: {"seconds": round(one["seconds"], 3), "peak_mib": round(one["peak"] / MIB)}
            for side, one in twice.items()
        },
    }


def _make(folder: Path, rows: int) -> None:
    """Write a zip as the archive has it, and its content unzipped."""
    place = folder / "zipped" / _FOLDER
    place.mkdir(parents=True)
    random, price, at, trade = np.random.default_rng(1), 900_000, _START, 0
    with (
        zipfile.ZipFile(place / f"{NAME}.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{NAME}.csv", "w") as packed,
    ):
        for first in range(0, rows, _CHUNK):
            count = min(_CHUNK, rows - first)
            ticks = price + np.cumsum(random.integers(-3, 4, count))
            times = at + np.cumsum(random.geometric(0.1, count))
            fills = trade + np.cumsum(random.geometric(0.4, count))
            frame = pl.DataFrame(
                {
                    "agg_trade_id": np.arange(first, first + count),
                    "price": ticks / 10,
                    "quantity": np.ceil(random.lognormal(3, 1.5, count)) / 1000,
                    "first_trade_id": np.concatenate([[trade], fills[:-1]]),
                    "last_trade_id": fills - 1,
                    "transact_time": times,
                    "is_buyer_maker": random.random(count) < 0.5,
                }
            )
            packed.write(frame.write_csv(include_header=first == 0).encode())
            price, at, trade = int(ticks[-1]), int(times[-1]), int(fills[-1])
    with zipfile.ZipFile(place / f"{NAME}.zip") as archive:
        archive.extractall(folder / "unzipped" / _FOLDER)


def _plimsoll_zip(folder: Path, into: Path) -> None:
    _import(folder / "zipped", into)


def _plimsoll_csv(folder: Path, into: Path) -> None:
    _import(folder / "unzipped", into)


def _import(folder: Path, into: Path) -> None:
    with Writer(into / "store") as writer:
        outcomes = import_files(writer, [folder]).outcomes
    if [(one.status, one.rejected) for one in outcomes] != [("imported", 0)]:
        raise RuntimeError(f"the import went wrong: {outcomes}")


def _polars_zip(folder: Path, into: Path) -> None:
    with zipfile.ZipFile(folder / "zipped" / _FOLDER / f"{NAME}.zip") as archive:
        data = archive.read(f"{NAME}.csv")
    pl.read_csv(io.BytesIO(data)).write_parquet(into / "rival.parquet")


def _polars_csv(folder: Path, into: Path) -> None:
    pl.read_csv(folder / "unzipped" / _FOLDER / f"{NAME}.csv").write_parquet(into / "rival.parquet")


_SIDES: dict[str, Callable[[Path, Path], None]] = {
    "plimsoll_zip": _plimsoll_zip,
    "polars_zip": _polars_zip,
    "plimsoll_csv": _plimsoll_csv,
    "polars_csv": _polars_csv,
}


def _measure(side: str, folder: Path) -> None:
    into = folder / "out"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    seconds, _ = clocked(_SIDES[side], folder, into)
    report(seconds)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        seconds, _ = clocked(_make, Path(sys.argv[2]), int(sys.argv[3]))
        report(seconds)
    else:
        _measure(sys.argv[1], Path(sys.argv[2]))
