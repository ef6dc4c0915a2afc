"""Published files brought into a store, each wholly or not at all."""

from __future__ import annotations

import csv
import hashlib
import lzma
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, BinaryIO, Literal
from zoneinfo import available_timezones

import msgspec
import polars as pl
import pyarrow as pa

from plimsoll.archives import recognise
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, DamagedFile, StoreUnusable, UnknownSymbol, Unrecognised
from plimsoll.store.catalogue import Imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from plimsoll.archives.source import Format
    from plimsoll.store.stage import Stage
    from plimsoll.store.writer import Writer

__all__ = ["Outcome", "Report", "find_files", "import_files", "printable"]

Count = Literal["rows", "added", "duplicates", "revisions", "rejected"]

_IGNORED = (".CHECKSUM", ".md", ".MD", ".part", ".tmp")
_IN_FLIGHT = 2
_FOLDERS = 5


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    path : Path
    status : {"imported", "known", "unrecognised", "failed"}
        ``known``: the same bytes were imported before. ``failed``: nothing of it was kept.
    format : str or None
    rows, added, duplicates, revisions, rejected : int
        Rows read; of these new, known before, contradicting a kept one; and
        rows that could not be kept.
    first_reject : str or None
        Where and why the first row was rejected.
    error : str or None
        What is wrong with the file and what to do.
    """

    path: Path
    status: Literal["imported", "known", "unrecognised", "failed"]
    format: str | None = None
    rows: int = 0
    added: int = 0
    duplicates: int = 0
    revisions: int = 0
    rejected: int = 0
    first_reject: str | None = None
    error: str | None = None


@dataclass
class Report:
    """What became of all files.

    Attributes
    ----------
    outcomes : list of Outcome
        In the order of the files.
    """

    outcomes: list[Outcome] = field(default_factory=list)

    def total(self, what: Count) -> int:
        """Return a count summed over the files."""
        return sum(getattr(outcome, what) for outcome in self.outcomes)

    @property
    def failed(self) -> list[Outcome]:
        """Files of which nothing was kept although a format knows them."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]


def find_files(paths: Iterable[Path], store: Path) -> list[tuple[Path, bool]]:
    """Return the files meant by paths.

    Parameters
    ----------
    paths : iterable of Path
        Files, and folders to be searched.
    store : Path
        A folder to leave out: a store may lie among the files it is made from.

    Returns
    -------
    list of (Path, bool)
        Each file, and whether it was named itself rather than found in a folder.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    """
    found: dict[Path, bool] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if path.is_file():
            found[path] = True
            continue
        for inside in sorted(p for p in path.rglob("*") if p.is_file()):
            ignored = inside.name.endswith(_IGNORED) or inside.name.startswith(".")
            if not ignored and store.resolve() not in inside.resolve().parents:
                found.setdefault(inside, False)
    return list(found.items())


def import_files(
    writer: Writer,
    paths: Iterable[Path],
    *,
    time_zone: str | None = None,
    again: bool = False,
    progress: Callable[[Path, int], None] = lambda _path, _count: None,
) -> Report:
    """Import files, each wholly or not at all.

    A file that was imported before, the same bytes under the same name, is passed
    over. A file that cannot be read stops neither the others nor what was kept before.

    Parameters
    ----------
    writer : Writer
    paths : iterable of Path
        Files and folders.
    time_zone : str, optional
        The zone of stamps that name none; without it such stamps are refused.
    again : bool
        Read files that were imported before once more, to mend a store that lost some.
    progress : callable
        Told the file and how many of its bytes were consumed since last told.

    Returns
    -------
    Report

    Raises
    ------
    FileNotFoundError
        If a path does not exist; then nothing is imported.
    ValueError
        If there is no such time zone; then nothing is imported.
    StoreUnusable
        If the disk refuses; the files accepted before are safe.
    """
    writer.layout.refuse_simulated()
    if time_zone is not None and time_zone not in available_timezones():
        raise ValueError(f"there is no time zone {time_zone!r}; write UTC, Europe/London, …")
    outcomes: list[tuple[Outcome, str | None]] = []
    try:
        for path, named in find_files(paths, writer.layout.root):
            source = Source(path, time_zone=time_zone, progress=partial(progress, path))
            outcomes.append(_import_one(writer, source, named=named, again=again))
            if outcomes[-1][0].status != "imported":
                progress(path, path.stat().st_size)
    finally:
        writer.seal()
    return Report([_counted(writer, outcome, key) for outcome, key in outcomes])


def _counted(writer: Writer, outcome: Outcome, key: str | None) -> Outcome:
    """Return an outcome with what became of its rows, whichever process sealed them."""
    sealed = writer.catalogue.imported(key) if key is not None else None
    if sealed is None:
        return outcome
    return replace(
        outcome, added=sealed.added, duplicates=sealed.duplicates, revisions=sealed.revisions
    )


def _import_one(
    writer: Writer, source: Source, *, named: bool, again: bool
) -> tuple[Outcome, str | None]:
    """Import one file; with the key of the import, where there was one."""
    path, name = source.path, None
    try:
        with _blaming(path):
            chosen = recognise(source)
            name, key = chosen.NAME, _key(source)
        known = writer.catalogue.imported(key)
        if known is not None and known.importer == _importer() and not again:
            return Outcome(path, "known", format=name, duplicates=known.rows), None
        with writer.stage() as stage:
            return _read(stage, source, chosen, writer.layout.rejects, key), key
    except _NothingKept as error:
        return Outcome(path, "failed", name, rejected=error.rejected, error=str(error)), None
    except Unrecognised as error:
        return Outcome(path, "failed" if named else "unrecognised", name, error=str(error)), None
    except ArchiveError as error:
        return Outcome(path, "failed", name, error=str(error)), None
    except OSError as error:
        raise StoreUnusable(
            writer.layout.root,
            f"the disk refused while importing {path} ({error.strerror or error}); nothing of "
            "that file was kept, every file before it is safe: make room and run the import again",
        ) from error


class _NothingKept(ArchiveError):
    """No row of a file can be kept."""

    def __init__(self, path: Path, rejected: int, first: str | None) -> None:
        super().__init__(path, f"none of its {rejected} rows can be kept; {first}")
        self.rejected = rejected


_UNREADABLE = (
    pl.exceptions.PolarsError,
    pa.ArrowException,
    UnknownSymbol,
    csv.Error,
    lzma.LZMAError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
)
"""How the libraries that read a file say that it is not what they were told."""


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Blame the file for what goes wrong while it is read."""
    try:
        yield
    except _UNREADABLE as error:
        raise DamagedFile(path, f"it cannot be read: {error}") from error


def _key(source: Source) -> str:
    """Name an import by all it depends on: bytes, name, nearest folders, and the zone of times."""
    words = (source.sha256, source.time_zone or "", *source.path.resolve().parts[-_FOLDERS:])
    return hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()


def _importer() -> str:
    return f"plimsoll {version('plimsoll')}"


def _read(stage: Stage, source: Source, chosen: Format, folder: Path, key: str) -> Outcome:
    with _blaming(source.path):
        verified = source.verify()
    rejects = _Rejects(folder / f"{key}.jsonl")
    try:
        _write_all(stage, source, chosen, rejects)
        rejects.keep()
    finally:
        rejects.close()
    if stage.rows == 0 and rejects.count:
        raise _NothingKept(source.path, rejects.count, rejects.first)
    note = Imported(
        key=key,
        sha256=source.sha256,
        format=chosen.NAME,
        path=printable(source.path.resolve()),
        importer=_importer(),
        imported_at=datetime.now(tz=UTC).isoformat(),
        verified=verified,
        rows=stage.rows,
        rejected=rejects.count,
    )
    stage.accept(note)
    return Outcome(
        source.path,
        "imported",
        format=chosen.NAME,
        rows=note.rows,
        rejected=note.rejected,
        first_reject=rejects.first,
    )


def printable(path: Path) -> str:
    """Return a path as text, with the bytes escaped that a name may hold and text may not."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def _write_all(stage: Stage, source: Source, chosen: Format, rejects: _Rejects) -> None:
    """Read in this thread and write in another, a few pieces apart."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: list[Future[None]] = []
        for kind, good in _good_rows(source, chosen):
            waiting.append(pool.submit(stage.write, kind, good))
            rejects.take(source)
            if len(waiting) > _IN_FLIGHT:
                waiting.pop(0).result()
        for write in waiting:
            write.result()
    rejects.take(source)


def _good_rows(source: Source, chosen: Format) -> Iterator[tuple[str, pl.DataFrame]]:
    reading = chosen.read(source)
    while True:
        with _blaming(source.path):
            piece = next(reading, None)
            if piece is None:
                return
            kind, frame = piece
            good = split_rejects(source, kind, frame) if frame.height else frame
        if good.height:
            yield kind, good


class _Rejects:
    """The rows of one file that cannot be kept, written down as they are met."""

    def __init__(self, place: Path) -> None:
        self.count = 0
        self.first: str | None = None
        self._place = place
        self._aside = place.with_suffix(".new")
        self._file: BinaryIO | None = None

    def take(self, source: Source) -> None:
        """Take what the source has rejected since."""
        if not source.rejected:
            return
        if self._file is None:
            self._file = self._aside.open("wb")
        for item in sorted(source.rejected, key=lambda item: item.line):
            name = printable(source.path)
            self.first = self.first or f"{name}:{item.line}: {item.reason}"
            row = {"file": name, "line": item.line, "reason": item.reason, "row": item.row}
            self._file.write(msgspec.json.encode(row, enc_hook=str) + b"\n")
        self.count += len(source.rejected)
        source.rejected.clear()

    def keep(self) -> None:
        """Make them durable."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._aside.replace(self._place)

    def close(self) -> None:
        """Let go of them, and forget them if they were not kept."""
        if self._file is not None:
            self._file.close()
            self._aside.unlink(missing_ok=True)
