"""The command about what bears on a market from beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.analytics.institutional import PARTS
from plimsoll.cli import flags
from plimsoll.cli.output import SAID, give, readable, table
from plimsoll.errors import NoSuchData

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.flags import Output, Span

__all__ = ["macro"]

_TITLES = {
    "stablecoins": "Stablecoins in circulation",
    "chains": "Open interest on chains, of the exchanges stored",
    "protocols": "Open interest on chains, all coins",
    "commitments": "Regulated futures, in coin (CFTC)",
    "institutional": "How institutional, as an average percentile of its own past",
}
_COINS = 8


@click.command()
@click.argument("coin")
@flags.span
@flags.store
@flags.output
def macro(coin: str, span: Span, store: Path | None, output: Output) -> None:
    """Show stablecoins, exchanges on chains, and regulated futures of a coin.

    COIN is such as BTC. Each part says when it is from; a part of which nothing
    is stored is named as missing. A report of the CFTC counts from its
    publication on Friday, not from the Tuesday it tells of.
    """
    found = session.open(store).macro(coin, **span.arguments)
    if all(frame is None for frame in found.values()):
        raise NoSuchData(f"nothing that bears on {coin} from beyond its market is stored")

    def picture(path: Path) -> None:
        from plimsoll.picture import macro as drawn  # noqa: PLC0415 (matplotlib only for pictures)

        drawn.draw(found, path, title=coin)

    parts = {name: None if f is None else f.to_dict(as_series=False) for name, f in found.items()}
    if give(output, {"parameters": {"coin": coin, **span.arguments}, **parts}, picture):
        return
    for name, frame in found.items():
        if frame is None:
            click.echo(f"{_TITLES[name]}: not stored\n")
            continue
        table(readable(_latest(name, frame)), title=_TITLES[name], right=SAID)
        if name == "institutional":
            click.echo(
                f"the score is of {frame['known'][-1]} of {len(PARTS)} parts, all weigh the same"
            )
        click.echo()


def _latest(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return what is said of the last day; of coins, the largest."""
    last = frame.filter(pl.col("time") == pl.col("time").max())
    if name == "stablecoins":
        return last.sort("supply_usd", descending=True, nulls_last=True).head(_COINS)
    return _parts(frame) if name == "institutional" else last


def _parts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the last value and percentile of each part, and the score; none where not stored."""
    names = [name.removesuffix("_percentile") for name in frame.columns if "percentile" in name]
    rows = []
    for name in names:
        known = frame.filter(pl.col(name).is_not_null()).tail(1)
        row = known.select("time", value=name, percentile=f"{name}_percentile")
        rows.append({"part": name, **(row.row(0, named=True) if row.height else {})})
    scored = frame.filter(pl.col("score").is_not_null()).tail(1)
    if scored.height:
        time, score = scored.select("time", "score").row(0)
        rows.append({"part": "score", "time": time, "percentile": score})
    schema = pl.Schema(
        {
            "part": pl.String(),
            "time": frame.schema["time"],
            "value": pl.Float64(),
            "percentile": pl.Float64(),
        }
    )
    return pl.DataFrame(rows, schema=schema)
