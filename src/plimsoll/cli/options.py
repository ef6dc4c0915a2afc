"""The command about options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import answer, dollars, give, needs_rows, percent, table

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.analytics.exposure import Level
    from plimsoll.cli.flags import Output, Span
    from plimsoll.measures.options import OptionState

__all__ = ["options"]


@click.command()
@click.argument("coin")
@click.option("--history", is_flag=True, help="Show how it was through time, since --since.")
@click.option("--every", default="6h", show_default=True, help="With --history: the step of time.")
@flags.span
@flags.store
@flags.output
def options(
    coin: str, *, history: bool, every: str, span: Span, store: Path | None, output: Output
) -> None:
    """Show what options say, and what they hold.

    COIN is a coin, or an underlying and its settlement such as BTC/USD:BTC.
    Puts against calls, open interest by expiry, max pain, hidden leverage and
    gamma exposure, each with its rank in the market's own history. Open
    interest does not tell who holds which side: a level is no signal.
    """
    opened = session.open(store)
    if history:
        _history(
            opened.option_history(coin, every=every, **span.arguments), coin, every, span, output
        )
        return
    if span.since is not None:
        raise click.UsageError("--since is for --history: the state is of one moment")
    asked = {name: value for name, value in span.arguments.items() if name != "since"}
    state = opened.options(coin, **asked)

    def drawn(path: Path) -> None:
        from plimsoll.picture import options as picture  # noqa: PLC0415 (matplotlib only here)

        exchanges = ", ".join(state.smile["exchange"].unique().sort())
        picture.draw(state, path, title=f"Options on {coin}", source=f"Quotes of {exchanges}.")

    if not give(output, {"parameters": {"coin": coin, **asked}, **state.describe()}, drawn):
        _said(state)


def _history(frame: pl.DataFrame, coin: str, every: str, span: Span, output: Output) -> None:
    needs_rows(frame, coin)

    def drawn(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (matplotlib only for pictures)

        lines = frame.select("time", **{words: pl.col(name) for name, words in _LINES.items()})
        series.draw(lines, path, title=f"Puts over calls, {coin}", unit="puts over calls")

    answer(
        output,
        frame,
        {"coin": coin, "every": every, **span.arguments},
        lambda: _past(frame, coin),
        drawn,
    )


_LINES = {
    "put_call_open_interest": "by open interest",
    "put_call_volume": "by volume",
}
_TOLD = {
    "time": "time",
    "price": "price",
    "open_interest": "open_interest",
    "put_call_open_interest": "put/call",
    "put_call_open_interest_percentile": "percentile",
    "put_call_volume": "by_volume",
    "beyond_90": "beyond_90",
    "leverage": "leverage",
    "index_30": "index_30",
    "unsigned_usd": "gamma",
    "coverage": "coverage",
}


def _past(frame: pl.DataFrame, coin: str) -> None:
    """Print a history for people."""
    shares = ("percentile", "beyond_90", "index_30", "coverage")
    shown = frame.select(**{words: pl.col(name) for name, words in _TOLD.items()})
    worded = _worded(shown, gamma=dollars, **dict.fromkeys(shares, percent))
    table(worded, title=f"Options on {coin}", last=24, right=("gamma", *shares))


def _said(state: OptionState) -> None:
    """Print a state for people."""
    price = "unknown" if state.price is None else f"{state.price:,.6g}"
    click.echo(
        f"Options on {state.market}, {state.time:%Y-%m-%d %H:%M} UTC, index {price}: "
        f"{state.counts['live']:,} options, {state.counts['stale']:,} left out as stale\n"
    )
    right = ("percentile", "coverage", "share", "most")
    title = "Now, and its rank in the market's own history"
    table(_percentages(state.summary.drop("z")), title=title, right=right)
    click.echo()
    table(_expiries(state), title="By expiry", right=("gamma", "naive_gamma", "atm", "rr25"))
    click.echo()
    title = "At constant maturities, and how unusual that is among its own of 90 days"
    table(_maturities(state), title=title, right=_SMILE)
    click.echo()
    for name in ("tenor", "moneyness"):
        table(
            _leverage(getattr(state, f"by_{name}"), name),
            title=f"Hidden leverage by {name}",
            right=_MONEY,
        )
        click.echo()
    click.echo(f"zero gamma, naive sign: {_level(state.naive_zero)}")
    click.echo(f"zero gamma, dealers against takers: {_level(state.taker_zero)}")
    if state.intents is None:
        click.echo("no option trades are stored: what was bought for what is not known")
    else:
        click.echo()
        title = "Traded for what, the last 30 days: an estimate"
        table(_percentages(state.intents), title=title, right=right)
    for words in state.said:
        click.echo(f"\n{words}")


def _percentages(frame: pl.DataFrame) -> pl.DataFrame:
    return _worded(frame, **dict.fromkeys(("percentile", "coverage", "share", "most"), percent))


def _expiries(state: OptionState) -> pl.DataFrame:
    read = state.term.select("expiry", "atm", rr25="risk_reversal")
    shown = state.by_expiry.join(read, on="expiry", how="left", maintain_order="left").select(
        pl.col("expiry").dt.date().alias("expiry"),
        pl.col("days").round(1),
        "calls",
        "puts",
        pl.col("put_call_open_interest").round(3).alias("put/call"),
        "max_pain",
        pl.col("leverage").round(1),
        pl.col("atm", "rr25"),
        gamma="unsigned_usd",
        naive_gamma="naive_usd",
    )
    return _worded(shown, atm=percent, rr25=percent, gamma=dollars, naive_gamma=dollars)


_SMILE = ("atm", "rr25", "strangle")


def _maturities(state: OptionState) -> pl.DataFrame:
    names = dict(zip(_SMILE, ("atm", "risk_reversal", "strangle"), strict=True))
    told = [
        column
        for short, name in names.items()
        for column in (
            pl.col(name).alias(short),
            pl.col(f"{name}_z").round(2).alias(f"{short}_z"),
        )
    ]
    shown = state.maturities.select("days", *told, observations="atm_observations")
    return _worded(shown, **dict.fromkeys(_SMILE, percent))


_MONEY = ("delta_usd", "premium_usd")


def _leverage(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    shown = frame.select(
        name, "open_interest", "delta_usd", "premium_usd", pl.col("leverage", "elasticity").round(2)
    )
    return _worded(shown, delta_usd=dollars, premium_usd=dollars)


def _worded(frame: pl.DataFrame, **said: Any) -> pl.DataFrame:
    """Return a frame with some columns as people say them."""
    return frame.with_columns(
        pl.col(name).map_elements(say, return_dtype=pl.String, skip_nulls=False)
        for name, say in said.items()
        if name in frame.columns
    )


def _level(level: Level) -> str:
    return f"unknown: {level.reason}" if level.price is None else f"{level.price:,.6g}"
