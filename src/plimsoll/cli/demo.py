"""A market without network or data: simulated, shown, and going on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click
import platformdirs
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import document
from plimsoll.cli.overview import console, summary
from plimsoll.cli.serve import PORT, announce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plimsoll.market.events import Event
    from plimsoll.server.running import Running
    from plimsoll.session import Session
    from plimsoll.simulate import Simulated

__all__ = ["demo", "simulate"]

_REFRESH = 3.0
_FASTEST = 20_000
"""What the machine this was made on keeps up with: six hours of three coins in a second."""
_COINS = "BTC,ETH,SOL"


def _names(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _simulated(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is simulated."""
    wrapped = command
    for option in (
        click.option("--days", default=90, show_default=True, help="How many days."),
        click.option("--seed", default=1, show_default=True, help="Another seed, another market."),
        click.option(
            "--coins", default=_COINS, show_default=True, callback=_names, help="Which coins."
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


@click.command()
@click.option("--scenario", default="crash", show_default=True, help="See plimsoll simulate.")
@_simulated
@click.option(
    "--speed", default=600.0, show_default=True, help="Live: market seconds in one of ours."
)
@click.option("--once", is_flag=True, help="Stop after the first overview.")
@click.option("--page/--no-page", default=True, show_default=True, help="Live: serve the page.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Of the page (else 8686, or any free)."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to draw the heat map (else heatmap.png in the store).",
)
@flags.store
def demo(
    *,
    scenario: str,
    days: int,
    seed: int,
    coins: tuple[str, ...],
    speed: float,
    once: bool,
    page: bool,
    port: int | None,
    out: Path | None,
    store: Path | None,
) -> None:
    """Show the whole product at work on a simulated market.

    Needs no data and no network. Simulates and stores a market, shows its
    load, draws its heat map, and goes on live until Ctrl-C, with the page that
    shows it opened in a browser. The store is one of its own, unless --store
    names another empty one; every other command works on it.
    """
    if not 0 < speed <= _FASTEST:
        words = f"must be above 0 and at most {_FASTEST:,}; got {speed}"
        raise click.BadParameter(words, param_hint="--speed")
    if out is not None and (out.suffix != ".png" or not out.parent.is_dir()):
        words = f"{out} must end in .png and lie in a folder that exists"
        raise click.BadParameter(words, param_hint="--out")
    root = store or _own_store(scenario, coins, seed, days)
    opened = session.open(root)
    made = _run(opened, scenario, coins, seed, days)
    screen = console()
    screen.print(summary(opened.overview(), screen.width))
    picture = out or root / "heatmap.png"
    _draw(opened, coins[0], picture)
    screen.print(f"heat map of {coins[0]}: {picture}", soft_wrap=True, highlight=False)
    screen.print(f"store: {root}", soft_wrap=True, highlight=False)
    if not once:
        _go_on(opened, made, speed, _served(opened, port) if page else None)


@click.command()
@click.argument("scenario")
@_simulated
@click.option("--start", help="The first day: 2025-01-01.")
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Threads."
)
@flags.store
@flags.as_json
def simulate(
    scenario: str,
    *,
    days: int,
    seed: int,
    coins: tuple[str, ...],
    start: str | None,
    workers: int,
    store: Path | None,
    as_json: bool,
) -> None:
    """Write a simulated market and its truth to an empty store.

    SCENARIO is calm, bull, crash, squeeze, institutional or outage. What the
    exchanges publish goes into the store's tables, what really happened into
    its folder truth. The same arguments give the same bytes.
    """
    opened = session.open(store)
    made = _run(opened, scenario, coins, seed, days, start=start, workers=workers)
    if as_json:
        body = {"rows": made.rows, "truth": str(made.truth), **made.simulation.note}
        sys.stdout.buffer.write(document(body))
    elif made.rows:
        click.echo(f"kept {made.rows:,} rows in {opened.path}")
        click.echo(f"and what really happened in {made.truth}")
    else:
        click.echo(f"{opened.path} holds this simulation already")


def _own_store(scenario: str, coins: tuple[str, ...], seed: int, days: int) -> Path:
    """Return where a demonstration is kept when nobody says: a folder for each, in the cache."""
    name = "-".join([scenario, *coins, f"seed{seed}", f"{days}d", version("plimsoll")])
    return Path(platformdirs.user_cache_dir("plimsoll", appauthor=False)) / "demo" / name


def _run(
    opened: Session,
    scenario: str,
    coins: tuple[str, ...],
    seed: int,
    days: int,
    **rest: Any,
) -> Simulated:
    """Simulate under a progress bar, and say what an interrupt leaves."""
    try:
        with _bar(f"simulating {scenario}", days * 1_440 * len(coins)) as progress:
            return opened.simulate(
                scenario, coins=coins, seed=seed, days=days, progress=progress, **rest
            )
    except KeyboardInterrupt as stopped:
        # Polars raises one of its own, with an empty word.
        what = next(filter(None, stopped.args), "nothing of the simulation was kept")
        click.echo(f"stopped; {what} in {opened.path}", err=True)
        raise SystemExit(130) from None


@contextlib.contextmanager
def _bar(words: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a simulation is; the first time, compiling comes before it."""
    from rich.console import Console  # noqa: PLC0415 (not needed for --help)
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(f"{words} (compiles the first time)", total=total)

        def advance(minutes: int) -> None:
            bar.update(task, advance=minutes, description=words)

        yield advance


def _draw(opened: Session, coin: str, path: Path) -> None:
    """Draw the heat map of a coin where most of it is held."""
    from plimsoll.picture import heatmap as pictures  # noqa: PLC0415 (matplotlib)

    held = opened.read("open_interest")
    of_coin = held.filter(pl.col("symbol").str.starts_with(f"{coin}/"))
    exchange, symbol = of_coin.sort("time", "value_usd").select("exchange", "symbol").row(-1)
    drawn = opened.heatmap(symbol, exchange=exchange)
    title = f"Predicted liquidations, {symbol} on {exchange} (simulated)"
    source = f"A simulated market; prices from {drawn.prices}."
    pictures.draw(drawn, path, title=title, source=source)


def _served(opened: Session, port: int | None) -> Running:
    """Return a server of the page, and say where it is."""
    from plimsoll.server.running import Running  # noqa: PLC0415 (not needed for --once)

    try:
        running = Running(opened, port=PORT if port is None else port)
    except OSError:
        if port is not None:
            raise
        running = Running(opened)
    announce(running, shows_token=False, opens=sys.stdout.isatty())
    return running


def _go_on(opened: Session, made: Simulated, speed: float, page: Running | None) -> None:
    """Let the market go on, faster than real time, until Ctrl-C."""
    screen = console()
    counted = [0]

    def kept(events: list[Event]) -> None:
        counted[0] += len(events)

    screen.print(f"live at {speed:g} times real time; Ctrl-C stops", highlight=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_live(opened, made, speed, kept, page))
    click.echo(f"\nstopped; {counted[0]:,} live events are kept in {opened.path}")


async def _live(
    opened: Session,
    made: Simulated,
    speed: float,
    kept: Callable[[list[Event]], None],
    page: Running | None,
) -> None:
    """Record the stream, and show the market as it is kept."""
    from rich.live import Live  # noqa: PLC0415 (not needed for --once)

    last = opened.read("candle").select(pl.col("time").max()).item()
    made.simulation.skip(last + timedelta(minutes=1))  # where an earlier demonstration stopped
    recording = asyncio.ensure_future(opened.record(opened.live(made, speed=speed), kept=kept))
    serving = asyncio.ensure_future(page.serve()) if page else None
    screen = console()
    try:
        with Live(console=screen, auto_refresh=False, transient=False) as shown:
            while not (recording.done() or (serving and serving.done())):
                began = monotonic()
                table = summary(await asyncio.to_thread(opened.overview), screen.width)
                if screen.is_terminal:
                    shown.update(table, refresh=True)
                else:
                    screen.print(table)
                wait = max(_REFRESH - (monotonic() - began), 0.2)
                await asyncio.wait({recording}, timeout=wait)
        if recording.done():
            recording.result()
    finally:
        recording.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await recording
        if serving is not None and page is not None:
            page.stop()
            await serving
