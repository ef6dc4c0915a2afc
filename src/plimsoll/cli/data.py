"""Commands about what is stored."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import answer, document, table
from plimsoll.errors import NoSuchData
from plimsoll.ingest import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plimsoll.cli.flags import Output, Span
    from plimsoll.ingest import Count, Report

__all__ = ["audit", "export", "import_", "sql", "status"]


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--time-zone", help="The zone of times that name none, such as UTC or Europe/London.")
@click.option("--again", is_flag=True, help="Read files imported before once more.")
@flags.store
@flags.as_json
def import_(
    paths: tuple[Path, ...],
    *,
    time_zone: str | None,
    again: bool,
    store: Path | None,
    as_json: bool,
) -> None:
    """Bring published files into the store.

    PATHS are files, or folders to be searched. The format is found by the
    content. A file is imported wholly or not at all, and once: the same file
    again changes nothing.
    """
    opened = session.open(store)
    with _bar(paths, opened.path) as progress:
        report = opened.import_files(paths, time_zone=time_zone, again=again, progress=progress)
    if as_json:
        sys.stdout.buffer.write(document(_report(report)))
    else:
        _tell(report)
    if report.failed:
        sys.exit(2)


_COUNTS: tuple[Count, ...] = ("rows", "added", "duplicates", "revisions", "rejected")


def _report(report: Report) -> dict[str, Any]:
    return {
        "total": {name: report.total(name) for name in _COUNTS},
        "files": [
            {"path": printable(o.path), "status": o.status, "format": o.format, "error": o.error}
            | {name: getattr(o, name) for name in _COUNTS}
            | {"first_reject": o.first_reject}
            for o in report.outcomes
        ],
    }


def _tell(report: Report) -> None:
    shown = pl.DataFrame(
        [
            {"file": printable(o.path).rsplit("/", 1)[-1], "status": o.status, "format": o.format}
            | {name: getattr(o, name) for name in _COUNTS}
            for o in report.outcomes
        ],
        infer_schema_length=None,
    )
    table(shown, title="Import")
    unknown = [
        printable(o.path).rsplit("/", 1)[-1] for o in report.outcomes if o.status == "unrecognised"
    ]
    if unknown:
        click.echo(
            f"no format knows {', '.join(unknown)}; import one by its name to see why", err=True
        )
    for outcome in report.outcomes:
        if outcome.first_reject:
            click.echo(
                f"{outcome.rejected} rows rejected, the first: {outcome.first_reject}", err=True
            )
        if outcome.status == "failed":
            click.echo(outcome.error, err=True)
    words = ", ".join(f"{report.total(name):,} {name}" for name in _COUNTS[1:])
    click.echo(f"{len(report.outcomes)} files: {words}")


@contextmanager
def _bar(paths: tuple[Path, ...], store: Path) -> Iterator[Callable[[Path, int], None]]:
    """Show how far the import is, where somebody looks."""
    if not sys.stderr.isatty():
        yield lambda _path, _count: None
        return
    from rich.console import Console  # noqa: PLC0415 (only on a terminal)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from plimsoll.ingest import find_files  # noqa: PLC0415

    total = sum(path.stat().st_size for path, _ in find_files(paths, store))
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=total)

        def told(path: Path, count: int) -> None:
            bar.update(task, advance=count, description=path.name[:40])
            if bar.finished:
                bar.update(task, description="sealing")

        yield told


@click.command()
@flags.store
@flags.output
def status(store: Path | None, output: Output) -> None:
    """Show what is stored since when, and what is missing.

    Gaps are holes in a regular series, with how many rows they lack; a dash
    where the series has no usual step, so that a hole cannot be told from
    silence.
    """
    opened = session.open(store)
    frame = opened.status()
    answer(
        output,
        frame,
        {"store": str(opened.path)},
        lambda: table(frame, title=f"Store {opened.path}"),
    )


@click.command()
@flags.store
@flags.as_json
def audit(store: Path | None, as_json: bool) -> None:
    """Check every stored file against what was sealed.

    Checksums, counts, order, duplicates, clocks and the rules of each column.
    Leaves with 5 if anything is not as it should be.
    """
    counts, findings = session.open(store).audit()
    if as_json:
        found = [{"file": f.file, "problem": f.problem} for f in findings]
        sys.stdout.buffer.write(document({"counts": counts, "findings": found}))
    else:
        click.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
        for finding in findings:
            click.echo(f"{finding.file}: {finding.problem}")
        click.echo("clean" if not findings else f"{len(findings)} findings")
    if findings:
        sys.exit(5)


@click.command()
@click.argument("query")
@click.option("--as-of", help="With what was known by then.")
@flags.store
@flags.output
def sql(query: str, as_of: str | None, store: Path | None, output: Output) -> None:
    """Ask the tables in SQL.

    Each kind of fact is a table: trade, candle, open_interest, funding,
    liquidation, option_quote and so on. The dialect is DuckDB's.
    """
    frame = session.open(store).sql(query, as_of=as_of)
    answer(output, frame, {"query": query, "as_of": as_of}, lambda: table(frame, title="", last=60))


@click.command()
@click.argument("kind")
@click.argument("symbol", required=False)
@flags.span
@flags.store
@flags.output
def export(kind: str, symbol: str | None, span: Span, store: Path | None, output: Output) -> None:
    """Write the rows of one table to a file.

    KIND is a table, SYMBOL a unified symbol such as BTC/USDT:USDT. The file
    imports again as it is.
    """
    frame = session.open(store).read(kind, symbol, **span.arguments)
    if not frame.height:
        raise NoSuchData(f"nothing of {kind} is stored in that span of time")
    parameters = {"kind": kind, "symbol": symbol, **span.arguments}
    answer(output, frame, parameters, lambda: table(frame, title=kind, last=20))
