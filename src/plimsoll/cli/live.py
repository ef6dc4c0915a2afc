"""Commands that reach exchanges."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import document
from plimsoll.cli.overview import console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.table import Table

    from plimsoll.recording import Recording

__all__ = ["backfill", "doctor", "exchanges", "record"]

_REFRESH = 1.0


@click.command()
@click.argument("exchanges", nargs=-1, required=True)
@click.option("--symbols", multiple=True, help="A coin or symbol (repeatable; else all).")
@click.option("--top", type=click.IntRange(1), help="Only so many, by open interest.")
@click.option("--kinds", multiple=True, help="A table (repeatable; see plimsoll exchanges).")
@click.option("--keep-raw", is_flag=True, help="Keep every frame as it came, too.")
@click.option("--metrics", type=click.IntRange(1, 65_535), help="Serve Prometheus metrics here.")
@flags.store
def record(
    exchanges: tuple[str, ...],
    *,
    symbols: tuple[str, ...],
    top: int | None,
    kinds: tuple[str, ...],
    keep_raw: bool,
    metrics: int | None,
    store: Path | None,
) -> None:
    """Record what exchanges publish, until Ctrl-C.

    EXCHANGES are names such as binance bybit okx. Liquidations, open interest,
    funding, mark prices and ratios are recorded unless --kinds says otherwise.
    Whatever was missed, by a lost connection or between two runs, is a row of
    the table gap.
    """
    from plimsoll.recording import Recording, Wanted  # noqa: PLC0415 (brings the network)

    opened, told = session.open(store), Recording()
    wanted = [Wanted(exchange=name, symbols=symbols, kinds=kinds, top=top) for name in exchanges]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_record(opened, wanted, told, keep_raw=keep_raw, metrics=metrics))
    click.echo(f"stopped; {told.kept:,} events are kept in {opened.path}")


async def _record(
    opened: session.Session,
    wanted: list[Any],
    told: Recording,
    *,
    keep_raw: bool,
    metrics: int | None,
) -> None:
    from plimsoll.net.metrics import serve  # noqa: PLC0415 (brings the network)

    work = asyncio.ensure_future(opened.record_exchanges(wanted, told, keep_raw=keep_raw))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_ended, work)
        if metrics is not None:
            await stack.enter_async_context(serve(metrics, lambda: exposition(told)))
        screen = stack.enter_context(_screen())
        while not work.done():
            if told.health:  # before that there is nothing to show
                screen(told)
            await asyncio.wait({work}, timeout=_REFRESH)
        work.result()


async def _ended(work: asyncio.Future[None]) -> None:
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await work


@contextlib.contextmanager
def _screen() -> Iterator[Any]:
    """Show how the streams are doing: always on a terminal, now and then in a log."""
    from rich.live import Live  # noqa: PLC0415 (not needed for --help)

    out = console()
    if out.is_terminal:
        with Live(console=out, auto_refresh=False) as shown:
            yield lambda told: shown.update(status(told), refresh=True)
        return
    last = [0.0]

    def log(told: Recording) -> None:
        if time.monotonic() - last[0] >= 60:
            last[0] = time.monotonic()
            out.print(status(told))

    yield log


def status(told: Recording) -> Table:
    """Return how each stream is doing, as a table."""
    from rich.markup import escape  # noqa: PLC0415 (not needed for --help)
    from rich.table import Table  # noqa: PLC0415

    grid = Table(
        title=f"{told.kept:,} events kept",
        title_justify="left",
        caption=escape("\n".join(told.problems[-5:])),
        caption_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    names = ("stream", "state", "events", "a second", "last", "delay", "gaps", "unread", "problem")
    for name in names:
        side = "left" if name in {"stream", "state", "problem"} else "right"
        grid.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    color = {"live": "green", "lost": "red", "refused": "red", "connecting": "yellow"}
    for one in told.health:
        last = "–" if one.last is None else f"{time.time() - one.last / 1e9:.0f} s ago"
        grid.add_row(
            one.name,
            f"[{color[one.state]}]{one.state}[/]",
            f"{one.events:,}",
            f"{one.rate():.1f}",
            last,
            "–" if one.delay is None else f"{one.delay:.2f} s",
            str(one.gaps),
            str(one.unreadable),
            escape(one.problem[:60]),
        )
    return grid


def exposition(told: Recording) -> str:
    """Return what Prometheus reads."""
    lines = ["# TYPE plimsoll_events_kept counter", f"plimsoll_events_kept {told.kept}"]
    for name in ("events", "gaps", "unreadable", "reconnects"):
        lines.append(f"# TYPE plimsoll_stream_{name} counter")
        lines += [
            f'plimsoll_stream_{name}{{stream="{one.name}"}} {getattr(one, name)}'
            for one in told.health
        ]
    lines.append("# TYPE plimsoll_stream_live gauge")
    lines += [
        f'plimsoll_stream_live{{stream="{one.name}"}} {int(one.state == "live")}'
        for one in told.health
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("exchange")
@click.argument("symbol")
@click.option("--since", default="30d", show_default=True, help="From this time on, or a span.")
@click.option("--until", help="Before this time.")
@click.option("--kinds", multiple=True, help="A table (repeatable; else all with history).")
@flags.store
def backfill(
    exchange: str,
    symbol: str,
    *,
    since: str,
    until: str | None,
    kinds: tuple[str, ...],
    store: Path | None,
) -> None:
    """Bring an exchange's history into the store.

    SYMBOL is a unified symbol, or a coin for all its contracts. EXCHANGE may be
    ccxt:NAME for one that is not translated here: its instruments and candles
    are read through ccxt (pip install 'plimsoll[ccxt]'). What was brought
    before is passed over: interrupt it, and begin it again. It says how far
    back each kind went, and why it stops there.
    """
    opened = session.open(store)
    with _progress() as progress:
        work = opened.backfill(exchange, symbol, kinds, since=since, until=until, progress=progress)
        reached = asyncio.run(work)
    for one in reached:
        came = "nothing new"
        if one.oldest is not None:
            came = f"{one.rows:,} rows, back to {_moment(one.oldest):%Y-%m-%d %H:%M}"
        click.echo(f"{one.symbol} {one.kind}: {came}: {one.why}")


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, tz=UTC)


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    from rich.console import Console  # noqa: PLC0415 (not needed for --help)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking", total=None)

        def told(what: str, done: int, whole: int) -> None:
            bar.update(task, description=what, completed=done, total=whole)

        yield told


@click.command()
@flags.as_json
def exchanges(as_json: bool) -> None:
    """Show what each exchange publishes, and how it is had."""
    rows = session.offers()
    if as_json:
        sys.stdout.buffer.write(document({"offers": rows}))
        return
    from rich.table import Table  # noqa: PLC0415 (not needed for JSON)

    grid = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("exchange", "kind", "stream", "asked every", "history", "completeness", "note"):
        grid.add_column(name)
    for row in rows:
        every = "" if row["poll"] is None else f"{row['poll']:g} s"
        grid.add_row(
            row["exchange"],
            row["kind"],
            "yes" if row["stream"] else "",
            every,
            row["history"] or "",
            row["completeness"],
            row["note"],
        )
    console().print(grid)


@click.command()
@click.argument("exchanges", nargs=-1)
@flags.store
@flags.as_json
def doctor(exchanges: tuple[str, ...], *, store: Path | None, as_json: bool) -> None:
    """Check which exchanges answer from here, their clocks, and the disk.

    Leaves with 4 if one does not answer.
    """
    opened = session.open(store)
    found, (free, whole) = asyncio.run(opened.doctor(exchanges))
    if as_json:
        rows = [one._asdict() for one in found]
        sys.stdout.buffer.write(document({"hosts": rows, "free": free, "disk": whole}))
    else:
        for one in found:
            clock = "" if one.offset is None else f", clock {one.offset:+.0f} s"
            took = "" if one.seconds is None else f" in {one.seconds:.1f} s{clock}"
            click.echo(f"{'ok ' if one.ok else 'NO '} {one.exchange} {one.host}: {one.words}{took}")
        click.echo(f"disk: {free / 2**30:,.1f} of {whole / 2**30:,.1f} GiB free at {opened.path}")
    if not all(one.ok for one in found):
        sys.exit(4)
