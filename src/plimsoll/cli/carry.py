"""Commands about what leverage costs, and what carrying it earns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import polars as pl

from plimsoll import session
from plimsoll.analytics.basis import BAND
from plimsoll.analytics.carry import FEES
from plimsoll.cli import flags
from plimsoll.cli.output import answer, needs_rows, percent, table
from plimsoll.errors import NoSuchData

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plimsoll.cli.flags import Output, Span

__all__ = ["basis", "carry", "fair_value", "funding"]

_FRACTIONS = (
    *("rate", "apr", "excess", "cumulative", "percentile", "ties"),
    *("mean_apr", "positive", "negative", "at_neutral", "at_cap"),
    *("weighted", "median", "lowest", "highest", "spread", "coverage"),
    *("rates", "funding", "basis", "fees", "net"),
    *("simple", "log", "compounded", "roll_yield", "7d", "30d", "90d", "180d", "90d-30d"),
    *("premium", "cost", "interest", "frictionless", "fair", "deviation", "annual"),
)
_DIGITS = {"days": 1, "half_life_hours": 1, **dict.fromkeys(_FRACTIONS[1:], 6)}
_NEVER_SHOWN = ("since", "until", "autocorrelation", "interval_changes", "reason")


@click.command()
@click.argument("symbol")
@click.option(
    "--by",
    type=click.Choice(["settlement", "market", "year", "time"]),
    default="settlement",
    show_default=True,
    help="A row for each settlement, market, year of a market, or step over all markets.",
)
@click.option("--every", default="8h", show_default=True, help="The step, with --by time.")
@flags.span
@flags.store
@flags.output
def funding(
    symbol: str, *, by: str, every: str, span: Span, store: Path | None, output: Output
) -> None:
    """Show what leverage costs, for how long it has, and how exchanges differ.

    SYMBOL is a unified symbol, or a coin for all its contracts. Rates are
    fractions per interval, apr is simple; streak counts settlements of one
    sign, percentile ranks the rate in the market's own history up to then, of
    which ties are equal to it. By market and year: which share of settlements
    was positive, exactly neutral or at a cap, and the half-life. By time: how
    far apart markets lie.
    """
    opened = session.open(store)
    if by == "settlement":
        frame = opened.funding(symbol, **span.arguments)
    elif by == "time":
        frame = opened.funding_dispersion(symbol, every=every, **span.arguments)
    else:
        frame = opened.funding_persistence(symbol, by_year=by == "year", **span.arguments)
    needs_rows(frame, symbol)
    parameters = {"symbol": symbol, "by": by, "every": every, **span.arguments}
    title = f"Funding, {symbol}"
    shown = frame.sort("time", "exchange") if by == "settlement" else frame
    last = None if by in {"market", "year"} else 24
    empty = [c for c in shown.columns if shown[c].null_count() == shown.height]
    shown = shown.drop(*_NEVER_SHOWN, *empty, strict=False)
    words = _words(shown, title=title, last=last, foot=_undecayed(frame))
    answer(output, frame, parameters, words, _funding_picture(frame, by, title))


def _undecayed(frame: pl.DataFrame) -> list[str]:
    """Return why a half-life is not known."""
    if "half_life_hours" not in frame.columns:
        return []
    rows = frame.filter(pl.col("reason").is_not_null())
    year = pl.format(" in {}", "year").fill_null("")
    words = pl.format("half-life of {} {}{}: {}", "exchange", "symbol", year, "reason")
    return rows.select(words).to_series().to_list()


def _funding_picture(frame: pl.DataFrame, by: str, title: str) -> Callable[[Path], None] | None:
    def heat(path: Path) -> None:
        from plimsoll.picture import funding as table_of_heat  # noqa: PLC0415 (only for pictures)

        table_of_heat.draw(frame, path, title=title)

    def lines(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (only for pictures)

        drawn = frame.select("time", pl.col("highest", "median", "lowest") * 100)
        series.draw(drawn, path, title=f"{title}: how far apart", unit="% a year, simple")

    return {"settlement": heat, "time": lines}.get(by)


def _fees(command: Callable[..., Any]) -> Callable[..., Any]:
    for kind in ("perpetual", "spot"):
        command = click.option(
            f"--{kind}-fee",
            type=float,
            default=FEES[kind],
            show_default=True,
            help=f"What trading a {kind if kind != 'spot' else 'spot market'} costs, fraction.",
        )(command)
    return command


@click.command()
@click.argument("symbol")
@click.option("--spot", help="The spot market of the same exchange to hold, of a perpetual.")
@_fees
@flags.span
@flags.store
@flags.output
def carry(
    symbol: str,
    *,
    spot: str | None,
    spot_fee: float,
    perpetual_fee: float,
    span: Span,
    store: Path | None,
    output: Output,
) -> None:
    """Show what being long one market and short another has earned, net of fees.

    SYMBOL is a coin for every pair of its markets, or a perpetual with one
    --exchange for the path of spot held against it. All are fractions of what
    the long side cost, or of the dollars that an inverse short sold: funding is
    what settlements paid, rates their plain sum, basis what the prices did. It
    is what was earned, not what that would come to in a year.
    """
    opened = session.open(store)
    asked = span.arguments | {"spot_fee": spot_fee, "perpetual_fee": perpetual_fee}
    parameters = {"symbol": symbol, "spot": spot, **asked}
    if "/" not in symbol:
        if spot is not None:
            raise click.UsageError("--spot belongs to one perpetual, such as BTC/USDT:USDT")
        frame = opened.arbitrage(symbol, **asked)
        pairs = frame.filter(pl.col("net").is_not_null())
        shown = pairs.select("long", "short", "since", *_TOLD)
        words = _words(shown, title=f"What carry earned, {symbol}", foot=_unpriced(frame))
        answer(output, frame, parameters, words)
        return
    if span.exchange is None or len(span.exchange) != 1:
        raise click.UsageError("name the one --exchange of the perpetual, or ask for a coin")
    asked["exchange"] = span.exchange[0]
    frame = opened.carry(symbol, spot=spot, **asked)
    title = f"Cash and carry, {span.exchange[0]} {symbol}"
    shown = frame.drop("rate")

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (only for pictures)

        lines = frame.select("time", pl.col("net", "funding", "basis") * 100)
        series.draw(lines, path, title=title, unit="% of what was opened, so far")

    answer(output, frame, parameters, _words(shown, title=title, last=24), picture)


_TOLD = ("days", "settlements", "missing", "rates", "funding", "basis", "fees", "net")


def _unpriced(frame: pl.DataFrame) -> list[str]:
    return [
        f"{row['long'] or ''} {row['short']}: {row['reason']}".strip()
        for row in frame.filter(pl.col("net").is_null()).iter_rows(named=True)
    ]


@click.command()
@click.argument("symbol")
@click.option("--history", is_flag=True, help="Constant maturities over time, not the curve now.")
@click.option("--every", default="1d", show_default=True, help="The step, with --history.")
@click.option("--band", type=float, default=BAND, show_default=True, help="Flat within this.")
@flags.span
@flags.store
@flags.output
def basis(
    symbol: str,
    *,
    history: bool,
    every: str,
    band: float,
    span: Span,
    store: Path | None,
    output: Output,
) -> None:
    """Show what dated futures pay over spot: the curve, constant maturities, its slope.

    SYMBOL is a coin, or one contract without its expiry, such as BTC/USD:BTC.
    basis is F / S - 1; simple, log and compounded are what it comes to in a
    year. An expiry within seven days is not annualised.
    """
    step = every if history else None
    frame = session.open(store).basis(symbol, every=step, band=band, **span.arguments)
    needs_rows(frame, symbol)
    parameters = {"symbol": symbol, "every": step, "band": band, **span.arguments}
    title = f"Basis of dated futures, {symbol}"
    shown = _by_maturity(frame) if history else frame.drop("kind", "reason")
    last, foot = (24, None) if history else (None, _missing(frame))

    def picture(path: Path) -> None:
        if history:
            from plimsoll.picture import series  # noqa: PLC0415 (only for pictures)

            series.draw(_lines(frame), path, title=title, unit="% a year, log")
        else:
            from plimsoll.picture import curve  # noqa: PLC0415 (only for pictures)

            curve.draw(frame, path, title=title)

    answer(output, frame, parameters, _words(shown, title=title, last=last, foot=foot), picture)


@click.command("fair-value")
@click.argument("symbol")
@click.option("--every", default="8h", show_default=True, help="The step.")
@click.option(
    "--rate",
    type=float,
    help="What a year of holding the coin costs, fraction; what dated futures pay if left out.",
)
@flags.span
@flags.store
@flags.output
def fair_value(
    symbol: str, *, every: str, rate: float | None, span: Span, store: Path | None, output: Output
) -> None:
    """Show what perpetuals would be worth if funding paid for what holding costs.

    SYMBOL is a perpetual, or a coin for all of its perpetuals. An estimate:
    premium is F / S - 1, fair the premium at which funding, as the exchange
    makes it, pays what holding the coin costs; frictionless, if all of the
    premium passed into funding. annual is the deviation from fair in a year.
    """
    frame = session.open(store).fair_value(symbol, every=every, rate=rate, **span.arguments)
    parameters = {"symbol": symbol, "every": every, "rate": rate, **span.arguments}
    title = f"Fair value of perpetuals, an estimate, {symbol}"
    newest = frame.filter(pl.col("time") == pl.col("time").max().over("exchange", "symbol"))
    several = newest.height > 1
    shown = (newest if several else frame).drop("interest", "quoted", "source", "reason")
    names = pl.format("{} {}", "exchange", "symbol").str.join(", ")
    unknown = newest.drop_nulls("reason").group_by("reason", maintain_order=True).agg(names=names)
    foot = unknown.select(pl.format("{}: {}", "names", "reason")).to_series().to_list()
    drawn = f"{title}: how far from it" if several else title

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (only for pictures)

        if frame["fair"].null_count() == frame.height:
            raise NoSuchData("; ".join(foot))
        series.draw(_deviations(frame), path, title=drawn, unit="basis points of the index")

    words = _words(shown, title=title, last=None if several else 24, foot=foot)
    answer(output, frame, parameters, words, picture)


def _deviations(frame: pl.DataFrame) -> pl.DataFrame:
    """Return of one market its premium and what is fair, of several how far they lie from it."""
    if frame.select("exchange", "symbol").n_unique() == 1:
        return frame.select("time", pl.col("premium", "fair", "frictionless") * 1e4)
    named = frame.drop_nulls("deviation").select(
        "time",
        name=pl.format("{} {}", "exchange", "symbol"),
        deviation=pl.col("deviation") * 1e4,
    )
    return named.pivot("name", index="time", values="deviation").sort("time")


def _missing(frame: pl.DataFrame) -> list[str]:
    """Return why a constant maturity, or the slope, is not known."""
    rows = frame.filter((pl.col("kind") != "expiry") & pl.col("reason").is_not_null())
    words = pl.format("{} {} of {}: {}", "exchange", "contract", "maturity", "reason")
    return rows.select(words).to_series().to_list()


def _by_maturity(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each curve, a column for each constant maturity and the slope."""
    fixed = frame.filter(pl.col("kind") != "expiry")
    return fixed.pivot("maturity", index=["time", "exchange", "contract"], values="log")


def _lines(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the maturities from 30 days on: a week's is noise that hides the others."""
    far = (pl.col("kind") == "constant") & (pl.col("maturity") != "7d")
    fixed = frame.filter(far).drop_nulls("log").sort("exchange", "contract", "days")
    several = fixed.select("exchange", "contract").n_unique() > 1
    name = pl.format("{} {} {}", "exchange", "contract", "maturity") if several else "maturity"
    named = fixed.select("time", name=name, log=pl.col("log") * 100)
    return named.pivot("name", index="time", values="log").sort("time")


def _words(
    frame: pl.DataFrame, *, title: str, last: int | None = None, foot: list[str] | None = None
) -> Callable[[], None]:
    """Return what prints a frame, fractions in percent."""
    names = [name for name in _FRACTIONS if name in frame.columns]
    tidy = frame.with_columns(
        pl.col(name).round(digits) for name, digits in _DIGITS.items() if name in frame.columns
    )
    said = tidy.with_columns(
        pl.col(name).map_elements(percent, return_dtype=pl.String, skip_nulls=False)
        for name in names
    )

    def words() -> None:
        table(said, title=title, last=last, right=tuple(names))
        for line in foot or []:
            click.echo(line)

    return words
