"""A simulated market into the store, with its truth beside it: all of it or nothing."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pyarrow as pa

from plimsoll.errors import StoreUnusable
from plimsoll.simulation import scenarios, truth
from plimsoll.simulation.simulation import START, Simulation
from plimsoll.store.catalogue import Imported
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plimsoll.market.instrument import Brackets, Instrument
    from plimsoll.simulation.parameters import Scenario
    from plimsoll.store.writer import Writer

__all__ = ["KEPT", "Simulated", "simulate", "simulation"]


KEPT = "all of the simulation is kept"
"""What an interrupt says that came after everything was safe."""


@dataclass(frozen=True)
class Simulated:
    """A simulation that was run into a store.

    Attributes
    ----------
    simulation : Simulation
        It stands where its days end, and can go on.
    rows : int
        Published rows that were kept; 0 if the store held this very simulation already.
    truth : Path
        The folder of what really happened.
    """

    simulation: Simulation
    rows: int
    truth: Path


def simulation(
    scenario: str | Scenario,
    coins: tuple[str, ...],
    *,
    seed: int,
    days: int,
    start: datetime | None,
    workers: int,
) -> Simulation:
    """Return a simulation of a scenario, by name or of one's own, on coins by name.

    Raises
    ------
    ValueError
        If a name is not known or a number is out of range.
    """
    return Simulation(
        scenarios.scenario(scenario) if isinstance(scenario, str) else scenario,
        scenarios.coins(coins),
        seed=seed,
        days=days,
        start=start or START,
        workers=workers,
    )


def _is_stored(root: Path, made: Simulation) -> bool:
    """Return whether a store holds this very simulation.

    Raises
    ------
    StoreUnusable
        If it holds anything else.
    """
    series = Reader(root).series() if (root / "plimsoll.json").is_file() else []
    if not series:
        return False  # a truth without data was left by a crash, and is written anew
    known = truth.note(root)
    if known == _plain(made):
        return True
    if known is not None:
        raise StoreUnusable(
            root,
            f"holds another simulation ({known['scenario']}, seed {known['seed']}, "
            f"{known['days']} days); choose an empty folder with --store",
        )
    names = ", ".join(sorted({one.exchange for one in series})[:5])
    raise StoreUnusable(
        root,
        f"holds other data ({names}), which a simulation must not be mixed with; choose an "
        "empty folder with --store",
    )


def simulate(
    writer: Writer,
    made: Simulation,
    progress: Callable[[int], None] = lambda _minutes: None,
) -> Simulated:
    """Run a simulation and keep what it publishes, and its truth.

    One that is stored already is run again, for its state, and not stored twice.

    Parameters
    ----------
    writer : Writer
    made : Simulation
    progress : callable
        Told how many more minutes of one coin were simulated.

    Raises
    ------
    StoreUnusable
        If the store holds other data, or the disk refuses. Nothing is kept then, nor when
        interrupted.
    """
    root = writer.layout.root
    if _is_stored(root, made):
        for piece in made.run():
            progress(piece.minutes)
        return Simulated(made, 0, truth.folder(root))
    written = truth.TruthWriter(root, _plain(made))
    try:
        _is_stored(root, made)  # once more, now that nobody else begins one
        rows, instruments = _write(writer, made, written, progress)
    except (OSError, sqlite3.Error, pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise StoreUnusable(
            root, f"the disk refused ({error}); nothing of the simulation was kept"
        ) from error
    finally:
        written.close()
    try:
        writer.remember(dict.fromkeys(instruments))
        writer.seal()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(
            root, f"the disk refused ({error}); the simulation is kept, its brackets may not be"
        ) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(KEPT) from None
    return Simulated(made, rows, truth.folder(root))


def _write(
    writer: Writer, made: Simulation, written: truth.TruthWriter, progress: Callable[[int], None]
) -> tuple[int, list[Instrument | Brackets]]:
    """Run a simulation into a stage and its truth aside, and keep both or neither."""
    instruments: list[Instrument | Brackets] = []
    with writer.stage() as stage, closing(made.run()) as pieces:
        for piece in pieces:
            for kind, frame in piece.tables.items():
                stage.write(kind, frame)
            written.write(piece.coin, piece.truth)
            instruments += piece.instruments
            progress(piece.minutes)
        rows = stage.rows
        written.keep()
        try:
            stage.accept(_source(made))
        except BaseException:
            written.revoke()
            raise
    return rows, instruments


def _plain(made: Simulation) -> dict[str, object]:
    """Return the note as it reads back from JSON."""
    note = made.note | {"version": version("plimsoll")}
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(note))
    return plain


def _source(made: Simulation) -> Imported:
    digest = hashlib.sha256(msgspec.json.encode(made.note)).hexdigest()
    note = made.note
    return Imported(
        key=digest,
        sha256=digest,
        format="simulation",
        path=f"simulation:{note['scenario']}?seed={note['seed']}&days={note['days']}",
        importer=f"plimsoll {version('plimsoll')}",
        imported_at=datetime.now(tz=UTC).isoformat(),
        verified=False,
        rows=0,
        rejected=0,
    )
