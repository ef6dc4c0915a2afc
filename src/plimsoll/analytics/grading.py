"""What a week of reports says of each market's open interest: a grade, with reasons.

A nothing is wrong, B a blemish, C doubtful, D not to be used. A market is held against its own
trades, against the laws of contracts, and against the other markets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics import detectors
from plimsoll.analytics.open_interest import listed
from plimsoll.analytics.verdict import GRADES, Verdict, heard, last, late, middle, spread, standing
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BOTH_SIDES", "LOT", "METRICS", "PRICE", "WINDOW", "Panel", "grades", "panel"]

WINDOW = timedelta(days=7)
"""Of how much history a grade is."""
METRICS = ("open_interest", "price")
_STALE = 2.0
_LONGEST_LAG = timedelta(hours=3)
LOT, PRICE, BOTH_SIDES = "the size of a contract", "the price", "2 (both sides)"
"""Units that reports are wrong by."""
_SLIGHT = 1e-3
_FEWEST = 12
"""Instants that say something of a share."""

Market = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Panel:
    """What several markets report, on one grid of time.

    Attributes
    ----------
    time : Series of datetime
    step : timedelta
    markets : list of tuple of str
        Exchange and symbol.
    held : ndarray, shape (instants, markets)
        What the contracts count: base units, of inverse contracts US dollars. So it moves only when
        positions do.
    usd : ndarray, shape (instants, markets), US dollars
    implied, close : ndarray, shape (instants, markets), quote per base
        Value over amount, and the price that trades had.
    volume : ndarray, shape (instants, markets)
        Traded since the instant before, in the unit of `held`.
    lots : list of float or None
        The size of a contract, in the unit of `held`.
    """

    time: pl.Series
    step: timedelta
    markets: list[Market]
    held: Floats
    usd: Floats
    implied: Floats
    close: Floats
    volume: Floats
    lots: list[float | None]

    def between(self, first: int, last: int) -> Panel:
        """Return the instants of a range."""
        part = slice(first, last)
        return replace(
            self,
            time=self.time[part],
            held=self.held[part],
            usd=self.usd[part],
            implied=self.implied[part],
            close=self.close[part],
            volume=self.volume[part],
        )

    def reports(self) -> pl.DataFrame:
        """Return what each market reported: `time`, `exchange`, `symbol`, `value_usd`."""
        frames = [
            pl.DataFrame({"time": self.time, "value_usd": self.usd[:, at]}).select(
                "time",
                exchange=pl.lit(exchange),
                symbol=pl.lit(symbol),
                value_usd=pl.col("value_usd").fill_nan(None),
            )
            for at, (exchange, symbol) in enumerate(self.markets)
        ]
        schema = {"exchange": pl.String, "symbol": pl.String, "value_usd": pl.Float64}
        nothing = (
            self.time.clear()
            .alias("time")
            .to_frame()
            .with_columns(pl.lit(None, kind).alias(name) for name, kind in schema.items())
        )
        return pl.concat([nothing, *frames])


def panel(
    frame: pl.DataFrame,
    volume: pl.DataFrame,
    every: timedelta,
    max_age: timedelta,
    lots: Mapping[Market, float] | None = None,
) -> Panel:
    """Return reports of open interest on one grid.

    Parameters
    ----------
    frame : DataFrame
        Rows of the `open_interest` table, of one coin.
    volume : DataFrame
        As `turnover.traded` returns, on the same grid; empty where no candles are known.
    every, max_age : timedelta
        As of `open_interest.snapshots`.
    lots : mapping of (exchange, symbol) to float, optional
        Sizes of contracts, of inverse ones in US dollars.
    """
    keys = ["time", "exchange", "symbol"]
    rows = listed(frame, every, max_age).join(volume, on=keys, how="left", maintain_order="left")
    inverse = pl.col("symbol").is_in(_inverse(frame["symbol"]))
    ratio = pl.when(pl.col("amount") > 0).then(pl.col("value_usd") / pl.col("amount"))
    rows = rows.with_columns(
        held=pl.when(inverse).then(pl.col("value_usd")).otherwise(pl.col("amount")),
        implied=ratio,
        volume=pl.when(inverse).then(pl.col("volume") * pl.col("close")).otherwise("volume"),
    )
    markets = sorted({(row[0], row[1]) for row in rows.select("exchange", "symbol").iter_rows()})
    times = rows["time"].unique().sort()

    def wide(name: str) -> Floats:
        made = np.full((len(times), len(markets)), np.nan)
        for at, (exchange, symbol) in enumerate(markets):
            one = rows.filter(exchange=exchange, symbol=symbol).select("time", name)
            known = times.to_frame().join(one, on="time", how="left", maintain_order="left")
            made[:, at] = known[name].cast(pl.Float64).to_numpy()
        return made

    return Panel(
        time=times,
        step=every,
        markets=markets,
        held=wide("held"),
        usd=wide("value_usd"),
        implied=wide("implied"),
        close=wide("close"),
        volume=wide("volume"),
        lots=[(lots or {}).get(market) for market in markets],
    )


def _inverse(symbols: pl.Series) -> list[str]:
    return [one for one in symbols.unique() if Symbol.parse(one).settlement == "inverse"]


def grades(held: Panel, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Grade each market at the last instant, by the week before.

    Parameters
    ----------
    held : Panel
        Only its last week is looked at.
    metrics : sequence of str
        Of `METRICS`.

    Returns
    -------
    DataFrame
        A row for each market and metric (``open_interest``, ``price``): `time`, `exchange`,
        `symbol`, `metric`, `grade` (``A`` to ``D``), the `reasons` for it, and the evidence:

        - `value_usd`: the open interest reported last;
        - `z`: how far the last change of a day is from what the others say, in robust deviations;
        - `reported` (fraction of the week's instants);
        - `unchanged_hours`: how long it has stood still while others moved and it traded;
        - `price_ratio`: dollars per coin reported, over the price of its trades, else of others;
        - `contracts_step`: the number that divides all counts of contracts; 2 means both sides;
        - `impossible`: share of instants at which it moved by more than was traded since two
          instants before, as reports may be minutes late;
        - `turnover_ratio`: volume over open interest, over that of the other perpetuals (of the
          nearer half of them, the farthest; one that is wrong does not accuse the rest);
        - `lag_minutes`: how late it follows its own volume, or of prices the others;
        - `findings`: the reasons as `code`, `figure` and `named`, see `statements.GRADED`.

        Null where it cannot be told.
    """
    size = round(WINDOW / held.step)
    week = held.between(max(0, len(held.time) - size), len(held.time))
    if not len(week.time):
        return pl.DataFrame(schema=GRADES)
    evidence = _Evidence(week)
    asked = {"open_interest": evidence.interest, "price": evidence.price}
    rows = [asked[name](market) for name in metrics for market in range(len(week.markets))]
    return pl.DataFrame(rows, schema=GRADES).fill_nan(None).sort("metric", "exchange", "symbol")


class _Evidence:
    """What a week of reports says of each market.

    Parameters
    ----------
    week : Panel
    """

    def __init__(self, week: Panel) -> None:
        self.week = week
        self.hours = week.step / timedelta(hours=1)
        stood = detectors.unchanged(week.held, week.volume)
        self.runs = stood.astype(np.float64) * self.hours
        self.perpetual = [Symbol.parse(symbol).expiry is None for _, symbol in week.markets]
        day = max(1, round(timedelta(days=1) / week.step))
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(np.where(week.held > 0, week.held, np.nan))
            self.turnover = _mean(week.volume) / _mean(week.held)
        self.daily = _shifted(log, day)
        weight = detectors.weights(week.usd)
        self.others = detectors.leave_one_out(self.daily, weight)
        # A dated future has a premium, and counts where no perpetual is known.
        self.weight = np.where(self.perpetual, 1.0, _SLIGHT)
        moved = np.abs(np.diff(week.held, axis=0, prepend=np.nan))
        self.moved = moved
        recent = week.volume + np.roll(week.volume, 1, axis=0)
        recent[:1] = np.nan
        with np.errstate(invalid="ignore"):
            more = (moved > recent * (1 + 1e-6) + 1e-6).astype(float)
        self.more = np.where(np.isnan(moved + recent), np.nan, more)

    def interest(self, at: int) -> dict[str, Any]:
        """Return the row of a market's open interest."""
        week, verdict = self.week, Verdict()
        values = week.held[:, at]
        ratio = self._ratio(at)
        found = {
            **self._of(at, "open_interest"),
            "reported": float(np.mean(~np.isnan(values))),
            "value_usd": last(week.usd[:, at]),
            "z": self._z(at),
            "unchanged_hours": float(self.runs[-1, at]),
            "price_ratio": ratio,
            "contracts_step": self._contracts(at),
            "impossible": _share(self.more[:, at]),
            "turnover_ratio": self._turnover(at),
            "lag_minutes": self._lag(self.moved[:, at], week.volume[:, at]),
        }
        heard(verdict, values)
        standing(verdict, self.runs[:, at], _STALE)
        self._unit(verdict, at, found)
        late(verdict, found["lag_minutes"])
        return verdict.of(found)

    def price(self, at: int) -> dict[str, Any]:
        """Return the row of a market's traded price, or without trades of the one implied."""
        traded, verdict = ~np.isnan(self.week.close[:, at]).all(), Verdict()
        prices = self.week.close if traded else self.week.implied
        others, stood = self._traded if traded else self._implied
        own, theirs, runs = np.log(prices[:, at]), np.log(others[:, at]), stood[:, at]
        apart = float(np.exp(middle(own - theirs)))
        found = {
            **self._of(at, "price"),
            "reported": float(np.mean(~np.isnan(own))),
            "unchanged_hours": float(runs[-1]),
            "price_ratio": apart,
            "lag_minutes": self._lag(np.diff(own), np.diff(theirs)),
        }
        heard(verdict, own)
        standing(verdict, runs, _STALE)
        limit = 0.05 if self.perpetual[at] else 0.25  # a future's premium is no error
        if abs(np.log(apart)) > limit:
            verdict.say("D", "price_apart", apart)
        late(verdict, found["lag_minutes"])
        return verdict.of(found)

    @cached_property
    def _traded(self) -> tuple[Floats, Floats]:
        return self._beside(self.week.close)

    @cached_property
    def _implied(self) -> tuple[Floats, Floats]:
        return self._beside(self.week.implied)

    def _beside(self, prices: Floats) -> tuple[Floats, Floats]:
        """Return what the others say of each price, and for how many hours it has stood still."""
        stood = detectors.unchanged(prices, np.full(prices.shape, np.nan))
        hours = stood.astype(np.float64) * self.hours
        return detectors.leave_one_out(prices, self.weight), hours

    def _of(self, at: int, metric: str) -> dict[str, Any]:
        exchange, symbol = self.week.markets[at]
        time: datetime = self.week.time[-1]
        return {"time": time, "exchange": exchange, "symbol": symbol, "metric": metric}

    def _z(self, at: int) -> float:
        """Return the last difference to the others' change of a day, in robust deviations."""
        return spread(self.daily[:, at] - self.others[:, at], _FEWEST)

    def _ratio(self, at: int) -> float:
        """Return dollars per coin reported, over the price of trades: its own, else the others'."""
        own = self.week.implied[:, at] / self.week.close[:, at]
        if np.isnan(own).all():
            own = self.week.implied[:, at] / self._traded[0][:, at]
        if np.isnan(own).all():
            own = self.week.implied[:, at] / self._implied[0][:, at]
        return middle(own[-_recent(self.week.step) :])

    def _contracts(self, at: int) -> int | None:
        lot = self.week.lots[at]
        return None if lot is None else detectors.common_step(self.week.held[:, at] / lot)

    def _turnover(self, at: int) -> float:
        """Return volume over open interest, over that of the other perpetuals."""
        own, speeds = self.turnover[at], self.turnover
        others = [o for o, perpetual in enumerate(self.perpetual) if perpetual and o != at]
        ratios = [float(own / speeds[o]) for o in others if speeds[o] > 0]
        if len(ratios) < 2 or not self.perpetual[at] or not own > 0:
            return np.nan
        return sorted(ratios, key=lambda ratio: abs(np.log(ratio)))[(len(ratios) - 1) // 2]

    def _lag(self, late: Floats, early: Floats) -> float:
        most = round(_LONGEST_LAG / self.week.step)
        if most < 1 or np.isnan(early).all():
            return np.nan
        steps, correlation, _ = detectors.lag(late, early, most)
        minutes = steps * self.week.step / timedelta(minutes=1)
        return np.nan if np.isnan(correlation) else minutes

    def _unit(self, verdict: Verdict, at: int, found: dict[str, Any]) -> None:
        """Tell amounts that are in another unit, or that count both sides."""
        ratio, share, peers = (found[n] for n in ("price_ratio", "impossible", "turnover_ratio"))
        if _beyond(ratio, 1.5):
            named = detectors.nearest_unit(ratio, self._units(at))
            how = ("unit_price_as", ratio, named[0]) if named else ("unit_price", ratio)
            verdict.say("D", *how)
        elif _beyond(ratio, 1.05):
            verdict.say("C", "disagrees", ratio)
        if found["contracts_step"] == 2:
            verdict.say("D", "even")
        if share > 0.2:
            verdict.say("D", "unit_moved", share)
        elif share > 0.01:
            verdict.say("C", "moved_more", share)
        if _beyond(peers, 100):
            verdict.say("D", "unit_fast", peers)
        elif _beyond(peers, 20):
            verdict.say("C", "fast", peers)
        self._jumps(verdict, at)

    def _units(self, at: int) -> dict[str, float]:
        lot, price = self.week.lots[at], last(self.week.close[:, at])
        units = {LOT: lot} if lot else {}
        units |= {BOTH_SIDES: 2.0} | {f"{10**power}": 10.0**power for power in (1, 2, 3, 4, 6, 8)}
        return units if np.isnan(price) else units | {PRICE: price}

    def _jumps(self, verdict: Verdict, at: int) -> None:
        """Tell a level that changed at once by more than was traded, and has not come back."""
        log = np.log(np.where(self.week.held[:, at] > 0, self.week.held[:, at], np.nan))
        steps, more = np.diff(log, prepend=np.nan), self.more[:, at]
        for where in np.flatnonzero((np.abs(np.nan_to_num(steps)) > np.log(1.6)) & (more != 0)):
            before, after = middle(log[max(0, where - _FEWEST) : where]), log[where:]
            if np.sum(~np.isnan(after)) < _FEWEST:
                continue
            lasts = abs(middle(after) - before) > 0.5 * abs(steps[where])
            factor = float(np.exp(steps[where]))
            named = detectors.nearest_unit(factor, self._units(at), tolerance=0.1)
            if lasts and (more[where] == 1 or named is not None):
                double = named is not None and BOTH_SIDES in named[0]
                code = f"{'double' if double else 'unit'}_{'rose' if factor > 1 else 'fell'}"
                verdict.say("D", code, factor, f"{self.week.time[int(where)]:%Y-%m-%d %H:%M}")
                return


def _beyond(ratio: float, factor: float) -> bool:
    """Return whether a ratio is known, and farther from one than a factor."""
    return not np.isnan(ratio) and abs(np.log(ratio)) > np.log(factor)


def _recent(step: timedelta) -> int:
    return max(_FEWEST, round(timedelta(days=1) / step))


def _shifted(log: Floats, bars: int) -> Floats:
    """Return changes over so many bars."""
    change = np.full(log.shape, np.nan)
    change[bars:] = log[bars:] - log[:-bars]
    return change


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return mean


def _share(flags: Floats) -> float:
    known = flags[~np.isnan(flags)]
    return float(known.mean()) if len(known) >= _FEWEST else np.nan
