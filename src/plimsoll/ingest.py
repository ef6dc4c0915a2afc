"""Published files brought into a store, each wholly or not at all."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, TextIO

from plimsoll.archives import recognise
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, StoreUnusable, UnknownSymbol, Unrecognised
from plimsoll.store.catalogue import Imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from plimsoll.archives.source import Format
    from plimsoll.store.writer import Stage, Writer

__all__ = ["Outcome", "Report", "find_files", "import_files"]

Count = Literal["rows", "added", "duplicates", "revisions", "rejected"]

_IGNORED = (".CHECKSUM", ".md", ".MD", ".part", ".tmp")
_IN_FLIGHT = 2


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
    progress: Callable[[Path, int], None] = lambda _path, _count: None,
) -> Report:
    """Import files, each wholly or not at all.

    A file whose very bytes were imported before is passed over. A file that
    cannot be read stops neither the others nor what was kept before.

    Parameters
    ----------
    writer : Writer
    paths : iterable of Path
        Files and folders.
    time_zone : str, optional
        The zone of stamps that name none; without it such stamps are refused.
    progress : callable
        Told the file and how many of its bytes were consumed since last told.

    Returns
    -------
    Report

    Raises
    ------
    FileNotFoundError
        If a path does not exist; then nothing is imported.
    StoreUnusable
        If the disk refuses; the files accepted before are safe.
    """
    outcomes: list[Outcome] = []
    pending: dict[str, int] = {}
    try:
        for path, named in find_files(paths, writer.layout.root):
            outcome, sha256 = _import_one(writer, path, named, time_zone, progress)
            if outcome.status == "imported":
                pending[sha256] = len(outcomes)
            outcomes.append(outcome)
    finally:
        for sha256, item in writer.seal().items():
            if sha256 in pending:
                counts = {name: getattr(item, name) for name in _COUNTS}
                outcomes[pending[sha256]] = replace(outcomes[pending[sha256]], **counts)
    return Report(outcomes)


_COUNTS = ("added", "duplicates", "revisions")


def _import_one(
    writer: Writer,
    path: Path,
    named: bool,
    time_zone: str | None,
    progress: Callable[[Path, int], None],
) -> tuple[Outcome, str]:
    source = Source(path, time_zone=time_zone, progress=lambda count: progress(path, count))
    try:
        chosen = recognise(source)
    except Unrecognised as error:
        progress(path, path.stat().st_size)
        return Outcome(path, "failed" if named else "unrecognised", error=str(error)), ""
    except ArchiveError as error:
        progress(path, path.stat().st_size)
        return Outcome(path, "failed", error=str(error)), ""
    known = writer.catalogue.imported(source.sha256)
    if known is not None and known.importer == _importer():
        progress(path, path.stat().st_size)
        return Outcome(path, "known", format=known.format, duplicates=known.rows), source.sha256
    try:
        with writer.stage() as stage:
            return _read(stage, source, chosen, writer.layout.rejects), source.sha256
    except (ArchiveError, UnknownSymbol) as error:
        text = str(error) if str(path) in str(error) else f"{path}: {error}"
        return Outcome(path, "failed", format=chosen.NAME, error=text), ""
    except OSError as error:
        raise StoreUnusable(
            writer.layout.root,
            f"the disk refused while importing {path} ({error.strerror or error}); nothing of "
            "that file was kept, every file before it is safe: make room and run the import again",
        ) from error


def _importer() -> str:
    return f"plimsoll {version('plimsoll')}"


def _read(stage: Stage, source: Source, chosen: Format, folder: Path) -> Outcome:
    verified = source.verify()
    rejects = _Rejects(folder / f"{source.sha256}.jsonl")
    try:
        _write_all(stage, source, chosen, rejects)
        if stage.rows == 0 and rejects.count:
            raise ArchiveError(
                source.path, f"none of its {rejects.count} rows can be kept; {rejects.first}"
            )
        rejects.keep()
    finally:
        rejects.close()
    stage.accept(
        note := Imported(
            sha256=source.sha256,
            format=chosen.NAME,
            path=str(source.path.resolve()),
            importer=_importer(),
            imported_at=datetime.now(tz=UTC).isoformat(),
            verified=verified,
            rows=stage.rows,
            rejected=rejects.count,
        )
    )
    return Outcome(
        source.path,
        "imported",
        format=chosen.NAME,
        rows=note.rows,
        rejected=note.rejected,
        first_reject=rejects.first,
    )


def _write_all(stage: Stage, source: Source, chosen: Format, rejects: _Rejects) -> None:
    """Read in this thread and write in another, a few pieces apart."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: list[Future[None]] = []
        for kind, frame in chosen.read(source):
            if frame.height:
                good = split_rejects(source, kind, frame)
                waiting.append(pool.submit(stage.write, kind, good))
            rejects.take(source)
            if len(waiting) > _IN_FLIGHT:
                waiting.pop(0).result()
        for write in waiting:
            write.result()
    rejects.take(source)


class _Rejects:
    """The rows of one file that cannot be kept, written down as they are met."""

    def __init__(self, place: Path) -> None:
        self.count = 0
        self.first: str | None = None
        self._place = place
        self._aside = place.with_suffix(".new")
        self._file: TextIO | None = None

    def take(self, source: Source) -> None:
        """Take what the source has rejected since."""
        if not source.rejected:
            return
        if self._file is None:
            self._file = self._aside.open("w", encoding="utf-8")
        for item in sorted(source.rejected, key=lambda item: item.line):
            self.first = self.first or f"{source.path}:{item.line}: {item.reason}"
            row = {"file": str(source.path), "line": item.line, "reason": item.reason}
            self._file.write(json.dumps({**row, "row": item.row}, default=str) + "\n")
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
