"""What the exchanges of a simulated market publish of it: tables like those of any exchange.

Nothing that an exchange would not know, or would not tell, leaves this module, and its faults are
made here: a throttled feed, open interest that is minutes old, an outage.
"""

from __future__ import annotations

import hashlib
import itertools
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.market.instrument import Bracket, Brackets, Instrument
from plimsoll.market.schema import TABLES, TIME
from plimsoll.simulation.columns import digits, moment, scaled, times
from plimsoll.simulation.market import EPOCH, Contract
from plimsoll.simulation.quotes import option_trades, quotes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.simulation.market import Chunk, Market

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

__all__ = ["Publisher", "Tables"]

Tables = dict[str, pl.DataFrame]
"""Rows by kind; each frame has all columns of its table."""

EVERY = 5
"""Minutes from one open interest, mark price or book to the next."""
DISTANCES = (-0.05, -0.01, 0.01, 0.05)
_MINUTE = 60_000_000
_STEP = 10_000_000
_TICKET = 2_500.0
_DECIMALS = 8
_POPULATIONS = (
    ("accounts", "long", "short"),
    ("top_accounts", "top_long", "top_short"),
    ("top_positions", "top_long_lots", "top_short_lots"),
)


class Publisher:
    """What becomes public of one coin's market.

    Parameters
    ----------
    market : Market
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self._tails: dict[int, Whole] = {}

    @cached_property
    def home(self) -> str:
        """The exchange with the spot market."""
        return next(venue.name for venue in self.market.scenario.venues if venue.spot)

    def tables(self, chunk: Chunk) -> Tables:
        """Return what is published of some minutes; chunks must follow on each other."""
        made = [self._spot(chunk)]
        for c, contract in enumerate(self.market.contracts):
            for symbol, first, last in self._listings(c, contract, chunk):
                part = _Part(self.market, c, symbol, chunk, first, last)
                made += [
                    part.candles(),
                    part.mark_candles(),
                    part.prices(),
                    part.books(),
                    part.liquidations(),
                ]
                made.append(part.interest(self._held(chunk, c, first, last)))
                if not contract.dated:
                    made += [part.fundings(), part.ratios(), part.positions()]
        made += [quotes(self.market, chunk), option_trades(self.market, chunk)]
        found: dict[str, list[pl.DataFrame]] = {}
        for kind, frame in (item for item in made if item[1].height):
            found.setdefault(kind, []).append(TABLES[kind].conform(frame))
        whole = {kind: pl.concat(frames) for kind, frames in found.items()}
        return self._darkened(whole, chunk)

    def instruments(self, chunk: Chunk) -> list[Instrument | Brackets]:
        """Return the contracts listed in a chunk, and the brackets of their exchange."""
        found: list[Instrument | Brackets] = []
        since = self.market.start
        for c, contract in enumerate(self.market.contracts):
            for symbol, _, _ in self._listings(c, contract, chunk):
                inverse = contract.venue.settlement == "inverse"
                size = Decimal(1) if inverse else Decimal(repr(contract.lot)).normalize()
                found.append(
                    Instrument(
                        exchange=contract.venue.name,
                        symbol=symbol,
                        contract_size=size,
                        tick=Decimal(repr(contract.tick)).normalize(),
                    )
                )
                found.append(brackets(self.market, c, symbol, EPOCH + timedelta(minutes=since)))
        return found

    def _listings(self, c: int, contract: Contract, chunk: Chunk) -> list[tuple[str, int, int]]:
        """Return symbols with the first bar they trade in, and the one they do not any more."""
        number = chunk.bars["expiry"][:, c]
        coin, count = self.market.coin.name, len(number)
        turns = [0, *(int(t) + 1 for t in np.flatnonzero(np.diff(number))), count]
        return [
            (contract.symbol(coin, self.market.expiry(c, int(number[first]))), first, last)
            for first, last in itertools.pairwise(turns)
        ]

    def _held(self, chunk: Chunk, c: int, first: int, last: int) -> Whole:
        """Return the open interest known at each bar's end, as old as the exchange has it."""
        delay = self.market.contracts[c].venue.interest_delay
        held = chunk.bars["open_interest"][:, c]
        if delay == 0:
            return held[first:last]
        known = self._tails.get(c)
        early = np.full(delay, held[0]) if known is None else known
        whole = np.concatenate([early, held])
        self._tails[c] = whole[-delay:]
        return whole[: len(held)][first:last]

    def _spot(self, chunk: Chunk) -> tuple[str, pl.DataFrame]:
        spot, count = chunk.spot, len(chunk.spot)
        places = digits(self.market.contracts[0].tick)
        volume = np.round(spot["volume"], 6)
        frame = pl.DataFrame(
            {
                "exchange": pl.repeat(self.home, count, eager=True),
                "symbol": pl.repeat(f"{self.market.coin.name}/USDT", count, eager=True),
                "time": times(np.arange(chunk.first, chunk.first + count) * _MINUTE),
                "interval": pl.repeat(60, count, dtype=pl.Int64, eager=True),
                **{n: np.round(spot[n], places) for n in ("open", "high", "low", "close")},
                "volume": volume,
                "quote_volume": np.round(volume * spot["close"], 2),
            }
        )
        return "candle", frame

    def _darkened(self, tables: Tables, chunk: Chunk) -> Tables:
        """Take out what an exchange that is dark does not publish, and say so when it is back."""
        outage = self.market.scenario.outage
        if outage is None:
            return tables
        name, law = outage[0], self.market.law
        c = self._of(name)[0]
        since, until = int(law.dark_from[c]), int(law.dark_until[c])
        dark = pl.col("time").is_between(moment(since), moment(until), closed="left")
        kept = {
            kind: frame.filter((pl.col("exchange") != name) | ~dark)
            for kind, frame in tables.items()
        }
        if chunk.first < until <= chunk.first + len(chunk.spot):
            kept["gap"] = self._gaps(name, since, until, chunk)
        return {kind: frame for kind, frame in kept.items() if frame.height}

    def _of(self, name: str) -> list[int]:
        """Return the contracts of an exchange."""
        contracts = enumerate(self.market.contracts)
        return [c for c, contract in contracts if contract.venue.name == name]

    def _gaps(self, name: str, since: int, until: int, chunk: Chunk) -> pl.DataFrame:
        """Return a gap for each stream of each symbol that an exchange did not publish."""
        missed = [(f"{self.market.coin.name}/USDT", ("candle",))] if name == self.home else []
        for c in self._of(name):
            contract = self.market.contracts[c]
            streams = _STREAMS if contract.dated else (*_STREAMS, "funding", "long_short_ratio")
            if self.market.law.transparent[c] > 0:
                streams = (*streams, "position")
            at = until - 1 - chunk.first
            symbol = next(
                s for s, first, last in self._listings(c, contract, chunk) if first <= at < last
            )
            missed.append((symbol, streams))
        rows = [
            {
                "exchange": name,
                "symbol": symbol,
                "time": moment(since),
                "known_at": moment(until),
                "stream": stream,
                "until": moment(until),
                "reason": "the exchange was dark",
            }
            for symbol, streams in missed
            for stream in sorted(streams)
        ]
        clocks = {"time": TIME, "known_at": TIME, "until": TIME}
        return TABLES["gap"].conform(pl.DataFrame(rows, schema_overrides=clocks))


_STREAMS = ("book_depth", "candle", "liquidation", "mark_price", "open_interest")


class _Part:
    """One symbol's part of a chunk.

    Parameters
    ----------
    market : Market
    c : int
        The contract.
    symbol : str
    chunk : Chunk
    first, last : int
        Its bars.
    """

    def __init__(
        self, market: Market, c: int, symbol: str, chunk: Chunk, first: int, last: int
    ) -> None:
        self.market, self.c, self.chunk, self.symbol = market, c, chunk, symbol
        self.contract = market.contracts[c]
        self.exchange = self.contract.venue.name
        self.inverse = self.contract.venue.settlement == "inverse"
        self.bars, self.spot = chunk.bars[first:last, c], chunk.spot[first:last]
        self.minute = np.arange(chunk.first + first, chunk.first + last)
        self.span = (chunk.first + first, chunk.first + last)
        self.digits = digits(self.contract.tick)

    def amount(self, lots: Whole, price: Floats) -> Floats:
        """Return lots in base units."""
        if self.inverse:
            return np.round(lots * self.contract.lot / price, _DECIMALS)
        return scaled(lots, self.contract.lot)

    def dollars(self, lots: Whole, price: Floats) -> Floats:
        """Return the notional of lots in dollars."""
        whole = scaled(lots, self.contract.lot)
        return whole if self.inverse else np.round(whole * price, 2)

    def named(self, time: Whole, columns: dict[str, object]) -> pl.DataFrame:
        """Return rows of this symbol."""
        count = len(time)
        return pl.DataFrame(
            {
                "exchange": pl.repeat(self.exchange, count, eager=True),
                "symbol": pl.repeat(self.symbol, count, eager=True),
                "time": times(time),
                **columns,
            }
        )

    def candles(self) -> tuple[str, pl.DataFrame]:
        """Return the candles of trades."""
        bars, mean = self.bars, (self.bars["high"] + self.bars["low"]) / 2
        quote = np.round(bars["quote_volume"], 2)
        taken = bars["taker_buy"] / np.maximum(bars["volume"], 1)
        columns: dict[str, object] = {
            "interval": pl.repeat(60, len(bars), dtype=pl.Int64, eager=True),
            **{n: np.round(bars[n], self.digits) for n in ("open", "high", "low", "close")},
            "volume": self.amount(bars["volume"], mean),
            "quote_volume": quote,
            "trades": np.ceil(quote / _TICKET).astype(np.int64),
            "taker_buy_volume": self.amount(bars["taker_buy"], mean),
            "taker_buy_quote_volume": np.round(quote * taken, 2),
        }
        return "candle", self.named(self.minute * _MINUTE, columns)

    def mark_candles(self) -> tuple[str, pl.DataFrame]:
        """Return the candles of the mark price."""
        count = len(self.bars)
        columns: dict[str, object] = {
            "interval": pl.repeat(60, count, dtype=pl.Int64, eager=True),
            "price_kind": pl.repeat("mark", count, eager=True),
            **{
                n: np.round(self.bars[f"mark_{n}"], self.digits)
                for n in ("open", "high", "low", "close")
            },
        }
        return "candle", self.named(self.minute * _MINUTE, columns)

    @cached_property
    def _sampled(self) -> NDArray[np.bool_]:
        """Which bars end when open interest, mark price and book are told."""
        ends: NDArray[np.bool_] = (self.minute + 1) % EVERY == 0
        return ends

    @property
    def _ends(self) -> Whole:
        ends: Whole = (self.minute[self._sampled] + 1) * _MINUTE
        return ends

    def interest(self, held: Whole) -> tuple[str, pl.DataFrame]:
        """Return the open interest; `held` is what the exchange knows of it at each bar's end."""
        told, price = held[self._sampled], self.bars["mark_close"][self._sampled]
        columns: dict[str, object] = {
            "amount": self.amount(told, price),
            "value_usd": self.dollars(told, price),
        }
        return "open_interest", self.named(self._ends, columns)

    def prices(self) -> tuple[str, pl.DataFrame]:
        """Return mark, index and last prices."""
        bars, spot = self.bars[self._sampled], self.spot[self._sampled]
        columns: dict[str, object] = {
            "mark_price": np.round(bars["mark_close"], self.digits),
            "index_price": np.round(spot["close"], self.digits),
            "last_price": np.round(bars["close"], self.digits),
        }
        return "mark_price", self.named(self._ends, columns)

    def books(self) -> tuple[str, pl.DataFrame]:
        """Return what rests near the price."""
        bars, spot = self.bars[self._sampled], self.spot[self._sampled]
        made = []
        for distance in DISTANCES:
            rests = depth(self.market, self.c, bars, spot, distance)
            price = bars["close"] * (1 + distance / 2)
            columns: dict[str, object] = {
                "distance": pl.repeat(distance, len(bars), eager=True),
                "amount": np.round(rests / price, 4),
                "value_usd": np.round(rests, 0),
            }
            made.append(self.named(self._ends, columns))
        return "book_depth", pl.concat(made).sort("time", "distance")

    def liquidations(self) -> tuple[str, pl.DataFrame]:
        """Return the liquidations as the exchange's feed lets them through."""
        rows = self._of(self.chunk.liquidations)
        venue = self.contract.venue
        price = rows["bankruptcy"] if venue.price_kind == "bankruptcy" else rows["filled"]
        price = np.where(np.isfinite(price), price, rows["filled"])
        price = np.maximum(np.round(price, self.digits), self.contract.tick)
        columns: dict[str, object] = {
            "side": np.where(rows["side"] > 0, "long", "short"),
            "price": price,
            "amount": self.amount(rows["lots"], price),
            "value_usd": self.dollars(rows["lots"], price),
            "price_kind": pl.repeat(venue.price_kind, len(rows), eager=True),
            "completeness": pl.repeat(venue.liquidations, len(rows), eager=True),
        }
        frame = self.named(stamps(rows), columns)
        if venue.liquidations == "throttled":
            second = pl.col("time").dt.truncate("1s")
            largest = pl.col("value_usd").arg_max().over(second)
            frame = frame.filter(pl.int_range(pl.len()).over(second) == largest)
            # Which one was the largest of its second is known when the second is over.
            frame = frame.with_columns(known_at=second + pl.duration(seconds=1))
        return "liquidation", frame.sort("time", "side", "price", "amount")

    def fundings(self) -> tuple[str, pl.DataFrame]:
        """Return what was settled, and what was predicted in between."""
        rows, hours = self._of(self.chunk.fundings, end=True), self.contract.venue.funding_hours
        settled = rows["settled"] == 1
        following = (rows["minute"] // (60 * hours) + 1) * 60 * hours
        columns: dict[str, object] = {
            "rate": np.round(rows["rate"], 10),
            "interval_hours": pl.repeat(float(hours), len(rows), eager=True),
            "status": np.where(settled, "settled", "predicted"),
            "premium": np.round(rows["premium"], 10),
        }
        frame = self.named(rows["minute"] * _MINUTE, columns)
        due = pl.Series(times(following * _MINUTE))
        return "funding", frame.with_columns(
            settles=pl.when(pl.col("status") == "predicted").then(due)
        )

    def ratios(self) -> tuple[str, pl.DataFrame]:
        """Return how many accounts, and how much of the largest, stand long and short."""
        rows = self._of(self.chunk.ratios)
        made = []
        for population, long, short in _POPULATIONS:
            counted = rows[(rows[long] > 0) & (rows[short] > 0)]
            up, down = counted[long], counted[short]
            columns: dict[str, object] = {
                "population": pl.repeat(population, len(counted), eager=True),
                "ratio": np.round(up / down, 4),
                "long_share": np.round(up / (up + down), 4),
            }
            made.append(self.named(counted["minute"] * _MINUTE, columns))
        return "long_short_ratio", pl.concat(made).sort("time", "population")

    def positions(self) -> tuple[str, pl.DataFrame]:
        """Return the positions of the wallets that could be read; of what is gone, no amount."""
        rows = self._of(self.chunk.positions)
        names = [wallet(self.market.coin.name, int(i)) for i in rows["account"]]
        gone, held = rows["lots"] == 0, np.maximum(rows["lots"], 1)
        entry = rows["cost"] / self.contract.unit / scaled(held, self.contract.lot)
        entry = np.where(
            gone, rows["mark"], 1 / np.maximum(entry, 1e-300) if self.inverse else entry
        )
        nothing = pl.lit(None, dtype=pl.Float64)
        columns: dict[str, object] = {
            "wallet": pl.Series(names, dtype=pl.String),
            "side": np.where(rows["side"] > 0, "long", "short"),
            "amount": self.amount(rows["lots"], rows["mark"]),
            "entry_price": np.round(entry, _DECIMALS),
            "leverage": rows["leverage"],
            "margin": np.round(rows["margin"] / self.contract.unit, 4),
            "margin_mode": np.where(rows["crossed"] == 1, "cross", "isolated"),
            "liquidation_price": pl.Series(np.round(rows["trigger"], self.digits)).fill_nan(None),
            "value_usd": self.dollars(rows["lots"], rows["mark"]),
        }
        frame = self.named(rows["minute"] * _MINUTE, columns).with_columns(
            pl.when(pl.Series(gone)).then(nothing).otherwise(pl.col(name)).alias(name)
            for name in ("margin", "liquidation_price")
        )
        return "position", frame.sort("time", "wallet", "side")

    def _of(self, rows: NDArray[np.void], *, end: bool = False) -> NDArray[np.void]:
        """Return this contract's rows; with `end`, of events at a minute's end."""
        low, high = self.span if not end else (self.span[0] + 1, self.span[1] + 1)
        minute = rows["minute"]
        found: NDArray[np.void] = rows[
            (rows["contract"] == self.c) & (minute >= low) & (minute < high)
        ]
        return found


def depth(
    market: Market, c: int, bars: NDArray[np.void], spot: NDArray[np.void], distance: float
) -> Floats:
    """Return dollars that rest between the mid price and a distance from it."""
    displaced = (bars["premium"] + spot["flow"]) * (1 if distance > 0 else -1)
    bargains = (np.maximum(displaced, 0) / 0.05) ** 2
    rests: Floats = market.law.depth[c] * (bars["thin"] + bargains) * abs(distance) / 0.01
    return rests


def stamps(rows: NDArray[np.void]) -> Whole:
    """Return when liquidations happened: those of one step, one after another in its first second.

    The engine begins when the mark price has moved, and does not wait.
    """
    step = rows["minute"] * 6 + rows["step"]
    starts = np.flatnonzero(np.diff(step, prepend=-1))
    sizes = np.diff(np.append(starts, len(step)))
    within = np.arange(len(step)) - np.repeat(starts, sizes)
    share = (within + 1) / (np.repeat(sizes, sizes) + 1)
    millis: Whole = (share * 1_000).astype(np.int64)
    return step * _STEP + millis * 1_000


@lru_cache(maxsize=20_000)
def wallet(coin: str, account: int) -> str:
    """Return the address of a wallet."""
    return "0x" + hashlib.blake2b(f"{coin} {account}".encode(), digest_size=20).hexdigest()


def brackets(market: Market, c: int, symbol: str, since: datetime) -> Brackets:
    """Return the maintenance brackets in force."""
    law, count = market.law, int(market.law.brackets[c])
    return Brackets(
        exchange=market.contracts[c].venue.name,
        symbol=symbol,
        since=since,
        brackets=tuple(
            Bracket(
                floor=float(law.bracket_floor[c, b]),
                cap=float(law.bracket_cap[c, b]),
                maintenance_rate=float(law.maintenance[c, b]),
                max_leverage=float(law.max_leverage[c, b]),
                cum=float(law.cum[c, b]),
            )
            for b in range(count)
        ),
    )
