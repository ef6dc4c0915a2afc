"""Commands about how far the maps can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import options
from plimsoll.cli.output import give, table

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.options import Output

__all__ = ["score"]


@click.group()
def score() -> None:
    """Hold the maps against what really happened."""


@score.command()
@click.option(
    "--exchange", default="binance", show_default=True, help="Whose open interest makes the maps."
)
@options.store
@options.output
def daily(*, exchange: str, store: Path | None, output: Output) -> None:
    """Explain daily liquidation totals by maps, and by the price alone.

    Needs daily totals of coins and five-minute open interest of their USDT
    perpetuals. R² is out of sample, a week left out at a time, of the
    logarithm of 1 + total / unit; intervals are of 95 %, from draws of days.
    """
    from plimsoll.validation import daily as days  # noqa: PLC0415 (brings numba)

    rows = days.panel(store or session.default_store(), exchange=exchange)
    lines, gains = days.explained(rows), days.gained(rows)
    answers = {"lines": lines, "gains": gains}
    body = {name: frame.to_dict(as_series=False) for name, frame in answers.items()}
    parameters = {
        "exchange": exchange,
        "rows": len(rows),
        "days": rows["day"].n_unique(),
        "weeks": rows["week"].n_unique(),
        "draws": days.DRAWS,
    }
    if give(output, {"parameters": parameters, **body}):
        return
    table(_readable(lines, "r2"), title="Daily liquidations explained, out of sample")
    click.echo()
    table(_readable(gains, "gain"), title="What is gained when an input is added to others")
    click.echo(
        f"{parameters['rows']} days of a coin and side, {parameters['days']} days, "
        f"{parameters['weeks']} weeks; explanations by the same day, not forecasts"
    )


def _readable(frame: pl.DataFrame, share: str) -> pl.DataFrame:
    return frame.with_columns(pl.col("unit").cast(pl.Int64), pl.col(share, "low", "high").round(3))
