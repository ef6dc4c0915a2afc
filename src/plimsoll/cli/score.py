"""Commands about how far the maps can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.heatmap import swept
from plimsoll.cli.output import answer, dollars, give, percent, table
from plimsoll.cli.underway import underway

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.measured import Measured
    from plimsoll.cli.flags import Output
    from plimsoll.validation.chains import ChainStudy
    from plimsoll.validation.heatmap_score import HeatmapScore

__all__ = ["leverage", "measured", "score"]


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--since", help="The start: 2026-01-15, or 60d (else the last 60 days).")
@click.option("--until", help="The end.")
@click.option("--as-of", help="With what was known by then.")
@click.option("--interval", help="The length of a bar (else the shortest the data allow).")
@flags.store
@flags.output
def leverage(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_of: str | None,
    interval: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Show which leverage liquidations say new positions take.

    SYMBOL is a unified symbol, or a coin for all its contracts in dollars. The
    mix of each market is fitted to its own liquidations; low and high hold nine
    tenths of the posterior. A tier that liquidations do not tell of keeps its
    prior, and is not identified.
    """
    with underway():
        made = session.open(store).leverage(
            symbol,
            exchange=list(exchange) or None,
            since=since,
            until=until,
            as_of=as_of,
            interval=interval,
        )
    frame = pl.concat(
        one.mix().select(
            pl.lit(one.exchange).alias("exchange"), pl.lit(one.symbol).alias("symbol"), pl.all()
        )
        for one in made
    )
    parameters = {"since": since, "until": until, "as_of": as_of, "interval": interval}
    facts = {"fits": [one.describe() for one in made]}

    def words() -> None:
        for one in made:
            table(
                one.mix().with_columns(pl.col("leverage").map_elements("{:g}x".format, pl.String)),
                title=f"Leverage of new positions, {one.exchange} {one.symbol}",
                right=("prior", "share", "low", "high"),
            )
            click.echo(_told(one))
        click.echo(
            "an estimate: on simulated markets about half of the shares called identified lay "
            "between low and high (docs/theory/score.md)"
        )

    answer(output, frame, {"symbol": symbol, **parameters, **facts}, words)


def _told(one: Fitted) -> str:
    if not one.orders:
        return "no liquidation of it is stored in that span: the mix is the prior"
    low, middle, high = (f"{value:.2g}" for value in one.describe()["scale"].values())  # type: ignore[attr-defined]
    whole = f"{one.orders} orders of ${one.unit:,.0f}; {percent(one.outside)} where no price went"
    meaning = "liquidatable open interest over the one assumed"
    if not one.complete:
        meaning += ", times the part of liquidations published: not told apart"
    said = f"{whole}; scale {middle} ({low} to {high}): {meaning}"
    if one.clamped:
        said += (
            f"; that asks for {percent(one.liquidatable)} of the open interest: the map, or a part "
            "of it, is held to all of it"
        )
    return said


@click.command()
@click.argument("symbol")
@click.option("--exchange", help="Whose wallets (else of the only exchange stored).")
@click.option("--at", help="As it stood before this time.")
@click.option("--as-of", help="With what was known by then.")
@flags.store
@flags.output
def measured(
    symbol: str,
    *,
    exchange: str | None,
    at: str | None,
    as_of: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Show where wallets' positions really stand, beside what the map says.

    SYMBOL is a unified symbol of a perpetual whose wallets can be read, and were
    recorded. Coverage is the share of the open interest that is seen; the match says
    how alike the two are near the price. A position counts for a day after it was read.
    """
    found = session.open(store).measured(symbol, exchange=exchange, at=at, as_of=as_of)
    answer(output, found.rows, {"symbol": symbol, **found.describe()}, lambda: _compared(found))


def _compared(found: Measured) -> None:
    money = ("measured_usd", "modelled_usd")
    near = found.within((0.02, 0.05, 0.10, 0.20)).with_columns(
        pl.col(money).map_elements(dollars, pl.String)
    )
    table(near, title=f"Positions, {found.exchange} {found.symbol}", right=money)
    longs, shorts = (percent(one) for one in found.coverage)
    click.echo(
        f"{found.time:%Y-%m-%d %H:%M} UTC: {found.wallets} wallets seen, with {longs} of the open "
        f"longs and {shorts} of the shorts; {dollars(found.unpriced_usd)} of "
        f"{dollars(sum(found.seen_usd))} without a liquidation price"
    )
    match = found.match
    rank, band, side = (
        "–" if one is None else f"{one:.2f}"
        for one in (match.rank_correlation, match.overlap, match.sides)
    )
    click.echo(
        f"match within 20% of the price, each scaled to one: rank correlation {rank} by bands of "
        f"0.5%; share of dollars in the right band {band}, on the right side {side}"
    )
    click.echo("modelled is an estimate, whose leverage mix is a prior")


@click.group()
def score() -> None:
    """Hold the maps against what really happened."""


@score.command()
@click.option(
    "--exchange", default="binance", show_default=True, help="Whose open interest makes the maps."
)
@flags.store
@flags.output
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


@score.command("heatmap")
@click.argument("symbol")
@click.option("--exchange", help="Whose map (else the only exchange stored).")
@click.option("--since", help="The start: 2026-01-15, or 60d (else the last 60 days).")
@click.option("--until", help="The end.")
@click.option("--as-of", help="With what was known by then.")
@click.option("--interval", help="The length of a bar (else the shortest the data allow).")
@click.option(
    "--every",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Days after which the forecasts are fitted again.",
)
@flags.store
@flags.output
def heatmap(
    symbol: str,
    *,
    exchange: str | None,
    since: str | None,
    until: str | None,
    as_of: str | None,
    interval: str | None,
    every: int,
    store: Path | None,
    output: Output,
) -> None:
    """Score the liquidation heat map of SYMBOL against its real liquidations.

    Each day is forecast from the days before it, by the fitted map and by eleven
    simpler forecasts, and scored where the price newly went. Skill is how much
    less the map errs than that forecast: 0 is no better, negative is worse. The
    score is kept, and goes with every map of that market.
    """
    found = session.open(store).score(
        symbol,
        exchange=exchange,
        since=since,
        until=until,
        as_of=as_of,
        interval=interval,
        every=every,
    )
    title = f"Score of the heat map, {symbol}" + (f" on {exchange}" if exchange else "")
    parameters = {"symbol": symbol, "exchange": exchange, "interval": interval, "every": every}

    def picture(path: Path) -> None:
        from plimsoll.picture import score as pictures  # noqa: PLC0415 (matplotlib)

        pictures.draw(found, path, title=title)

    answer(
        output,
        found.table,
        parameters
        | {"summary": found.summary, "groups": found.groups.to_dicts()}
        | {"reliability": found.reliability.to_dicts()},
        lambda: _score_words(found, title),
        picture,
    )


@score.command("options")
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--since", help="The start: 2026-01-15, or 60d (else all that is stored).")
@click.option("--until", help="The end.")
@click.option("--as-of", help="With what was known by then.")
@flags.store
@flags.output
def options(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_of: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Hold our mathematics of options against what their exchange states.

    SYMBOL is a coin, or an underlying and settlement. Every chain that was quoted
    at one moment counts: its implied volatility, put-call parity, smiles and their
    arbitrage, basis, and the index without a model.
    """
    from plimsoll.measures.asking import asked  # noqa: PLC0415 (with the study)
    from plimsoll.validation import chains  # noqa: PLC0415 (brings numba)

    found = chains.study(
        store or session.default_store(), symbol, asked(list(exchange), since, until, as_of)
    )
    parameters = {"symbol": symbol, "since": since, "until": until, "as_of": as_of}
    if not give(output, {"parameters": parameters, **found.describe()}):
        _study_words(found)


def _study_words(found: ChainStudy) -> None:
    facts = found.facts
    points = {"median": 3, "p90": 3, "p99": 3, "p95": 3, "mended_median": 3}
    table(_figures(found.volatility, points), title="Implied less stated volatility, points")
    exact = pl.col("median", "p99").map_elements("{:.6f}".format, pl.String)
    table(found.parity.with_columns(exact), title="What parity misses", right=("median", "p99"))
    table(
        _figures(found.smiles, points),
        title="Smiles: errors in points, percent without a butterfly, crossing, fitted anew",
    )
    table(
        _figures(found.basis, {"median": 2, "p5": 2, "p95": 2}),
        title="Forward over index, percent a year",
    )
    if found.reasons.height:
        table(found.reasons, title="Options without an implied volatility")
    click.echo(
        f"{facts['options']:,} quotes of {facts['expiries']:,} expiries at {facts['moments']:,} "
        f"moments, {facts['since']:%Y-%m-%d} to {facts['until']:%Y-%m-%d}; the forward of "
        f"{facts['forward_by_parity']:,} quotes is that at which calls and puts agree"
    )
    middle, low, high, over = (
        percent(facts[f"index_{name}"]) for name in ("median", "low", "high", "over_atm")
    )
    click.echo(
        f"index of 30 days without a model: median {middle}, {low} to {high}, median {over} over "
        f"the volatility at the money; none at {facts['index_none']} moments"
    )


def _figures(frame: pl.DataFrame, hundredths: dict[str, int]) -> pl.DataFrame:
    """Return figures for reading: fractions in hundredths."""
    shares = ("close", "quoted", "anywhere", "crossing", "refitted", "arbitrage", "positive")
    digits = hundredths | dict.fromkeys(shares, 2)
    return frame.with_columns(
        (pl.col(name) * 100).round(number) for name, number in digits.items() if name in frame
    )


def _score_words(found: HeatmapScore, title: str) -> None:
    numbers = ("deviance", "log_score", "auc", "earth_movers_bp", "skill", "low", "high", "p")
    table(found.table.with_columns(pl.col(numbers).round(3)), title=title, right=numbers)
    table(found.groups.with_columns(pl.col("skill").round(3)), title="Where", right=("skill",))
    one = found.summary
    click.echo(
        f"skill over the same map without open interest ({one['twin']}): {one['skill']:+.3f}, "
        f"{one['low']:+.3f} to {one['high']:+.3f} in nine of ten bootstraps of days"
    )
    click.echo(
        f"{one['orders']} orders of ${one['unit_usd']:,.0f} in {one['cells']} cells on "
        f"{one['days']} days; feed: {', '.join(one['completeness'])}; "
        f"{percent(one['outside'])} of the dollars where no price went"
    )
    click.echo(f"{swept(one)} (map not fitted)")
    if one["low"] <= 0:
        click.echo("no skill over that forecast is shown: the interval holds zero, or is below it")
