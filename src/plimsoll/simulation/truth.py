"""The truth of a simulated market: what no exchange tells, kept apart for scoring alone.

::

    STORE/truth/
    ├── simulation.json   scenario, coins, seed, start, days, version
    └── BTC/              one folder for each coin, in each a folder of Parquet parts for
        ├── minutes/      flows, open interest, money, true depth, of each contract
        ├── value/        the latent value, what orders displaced, mood, volatility
        ├── positions/    every open position, once a day and at the end
        ├── liquidations/ every liquidation, its trigger, and what part of the move was cascade
        ├── deleveraged/  every winner's position that was closed by force
        ├── options/      who holds each option
        └── option_trades/ who traded each, and whether to open or to close

Only scoring may import this module's reader; import-linter checks that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from plimsoll.errors import NoSuchData, StoreUnusable
from plimsoll.simulation import records
from plimsoll.simulation.columns import times
from plimsoll.simulation.options import KINDS, OVERWRITING
from plimsoll.simulation.publish import depth, stamps, wallet
from plimsoll.simulation.quotes import trade_ids

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plimsoll.simulation.market import Chunk, Market

__all__ = ["Truth", "TruthWriter", "snapshot", "tables"]

_MINUTE = 60_000_000
_NOTE = "simulation.json"


def folder(store: Path) -> Path:
    """Return where a store keeps the truth of what was simulated into it."""
    return store / "truth"


def tables(market: Market, chunk: Chunk) -> dict[str, pl.DataFrame]:
    """Return what really happened in some minutes.

    Amounts are in lots and money in whole units, both exact; `lot` and `unit` tell their size.
    """
    made = {
        "minutes": pl.concat(_minutes(market, chunk, c) for c in range(len(market.contracts))),
        "value": _value(chunk),
        "liquidations": _liquidations(market, chunk),
        "deleveraged": _deleveraged(market, chunk),
        "options": _options(chunk),
        "option_trades": _option_trades(chunk),
    }
    return {name: frame for name, frame in made.items() if frame.height}


def snapshot(market: Market) -> pl.DataFrame:
    """Return every position open now, market makers' included."""
    frames = []
    for c, contract in enumerate(market.contracts):
        s, symbol = market.state, _symbol(market, c, int(market.state.expiry[c]))
        held = np.flatnonzero(s.side[c])
        maker = int(s.maker[c])
        columns: dict[str, Any] = {
            name: pl.Series(s[source][c][held])
            for name, source in (
                ("side", "side"),
                ("lots", "lots"),
                ("cost", "cost"),
                ("margin", "margin"),
                ("leverage", "leverage"),
                ("crossed", "crossed"),
                ("liquidation_price", "trigger"),
            )
        }
        frame = pl.DataFrame(
            {
                "exchange": pl.repeat(contract.venue.name, len(held), eager=True),
                "symbol": pl.repeat(symbol, len(held), eager=True),
                "time": _times(np.full(len(held), market.now)),
                "wallet": pl.Series(
                    [wallet(market.coin.name, int(i)) for i in held], dtype=pl.String
                ),
                "owner": pl.Series([records.OWNERS[k] for k in s.owner[c][held]], dtype=pl.String),
                "opened": _times(s.opened[c][held]),
                "mark_price": pl.repeat(float(s.mark[c]), len(held), eager=True),
                "lot": pl.repeat(contract.lot, len(held), eager=True),
                "unit": pl.repeat(contract.unit, len(held), eager=True),
                **columns,
            }
        ).with_columns(pl.col("crossed").cast(pl.Boolean))
        frames.append(frame)
        if maker:
            frames.append(_maker(frame, market, c, maker))
    return pl.concat(frames, how="diagonal_relaxed").with_columns(
        pl.col("liquidation_price").fill_nan(None)
    )


def _maker(frame: pl.DataFrame, market: Market, c: int, lots: int) -> pl.DataFrame:
    """Return the market maker's position as a row like the others; it is never liquidated."""
    row = {
        "exchange": market.contracts[c].venue.name,
        "symbol": _symbol(market, c, int(market.state.expiry[c])),
        "time": _times(np.array([market.now]))[0],
        "wallet": "market maker",
        "owner": "market_maker",
        "mark_price": float(market.state.mark[c]),
        "lot": market.contracts[c].lot,
        "unit": market.contracts[c].unit,
        "side": 1 if lots > 0 else -1,
        "lots": abs(lots),
    }
    return pl.DataFrame([row], schema={name: frame.schema[name] for name in row})


def _minutes(market: Market, chunk: Chunk, c: int) -> pl.DataFrame:
    bars, count = chunk.bars[:, c], len(chunk.bars)
    contract = market.contracts[c]
    plain = [
        name
        for name in records.BAR.names or ()
        if name not in {"thin", "open", "high", "low", "mark_open", "mark_high", "mark_low"}
    ]
    symbols = {int(e): _symbol(market, c, int(e)) for e in np.unique(bars["expiry"])}
    return pl.DataFrame(
        {
            "exchange": pl.repeat(contract.venue.name, count, eager=True),
            "symbol": pl.Series([symbols[int(e)] for e in bars["expiry"]], dtype=pl.String),
            "time": _times(np.arange(chunk.first, chunk.first + count)),
            **{name: pl.Series(np.ascontiguousarray(bars[name])) for name in plain},
            "bids_usd": depth(market, c, bars, chunk.spot, -0.01),
            "asks_usd": depth(market, c, bars, chunk.spot, 0.01),
        }
    ).drop("expiry")


def _value(chunk: Chunk) -> pl.DataFrame:
    names = ("value", "flow", "forced", "mood", "volatility")
    return pl.DataFrame(
        {
            "time": _times(np.arange(chunk.first, chunk.first + len(chunk.spot))),
            **{name: pl.Series(np.ascontiguousarray(chunk.spot[name])) for name in names},
        }
    )


def _liquidations(market: Market, chunk: Chunk) -> pl.DataFrame:
    rows = chunk.liquidations
    when = np.zeros(len(rows), dtype=np.int64)
    for c in range(len(market.contracts)):
        of = rows["contract"] == c
        when[of] = stamps(rows[of])
    plain = [
        name
        for name in records.LIQUIDATION.names or ()
        if name not in {"minute", "step", "rank", "contract", "account", "owner", "opened"}
    ]
    return (
        _named(market, chunk, rows)
        .with_columns(
            time=times(when),
            opened=_times(rows["opened"]),
            **{name: pl.Series(np.ascontiguousarray(rows[name])) for name in plain},
        )
        .with_columns(pl.col("bankruptcy", "cascade").fill_nan(None))
    )


def _deleveraged(market: Market, chunk: Chunk) -> pl.DataFrame:
    rows = chunk.deleveraged
    plain = ("side", "lots", "price", "score")
    return _named(market, chunk, rows).with_columns(
        time=_times(rows["minute"]),
        **{name: pl.Series(np.ascontiguousarray(rows[name])) for name in plain},
    )


def _named(market: Market, chunk: Chunk, rows: NDArray[np.void]) -> pl.DataFrame:
    """Return who and what rows are of."""
    number = chunk.bars["expiry"][rows["minute"] - chunk.first, rows["contract"]]
    names = {
        (int(c), int(e)): _symbol(market, int(c), int(e))
        for c, e in set(zip(rows["contract"], number, strict=True))
    }
    coin = market.coin.name
    return pl.DataFrame(
        {
            "exchange": pl.Series(
                [market.contracts[c].venue.name for c in rows["contract"]], dtype=pl.String
            ),
            "symbol": pl.Series(
                [names[int(c), int(e)] for c, e in zip(rows["contract"], number, strict=True)],
                dtype=pl.String,
            ),
            "wallet": pl.Series([wallet(coin, int(i)) for i in rows["account"]], dtype=pl.String),
            "owner": pl.Series([records.OWNERS[k] for k in rows["owner"]], dtype=pl.String),
        }
    )


def _options(chunk: Chunk) -> pl.DataFrame:
    rows = chunk.quotes
    plain = ("strike", "hedge", "speculation", "overwriting", "open_interest")
    return pl.DataFrame(
        {
            "time": _times(rows["minute"]),
            "expiry": _times(rows["expiry"]),
            "option": pl.Series(np.where(rows["is_put"] == 1, "P", "C"), dtype=pl.String),
            **{name: pl.Series(np.ascontiguousarray(rows[name])) for name in plain},
        }
    )


def _option_trades(chunk: Chunk) -> pl.DataFrame:
    rows = chunk.option_trades
    bought = rows["lots"] > 0
    return pl.DataFrame(
        {
            "time": _times(rows["minute"]),
            "id": trade_ids(rows),
            "expiry": _times(rows["expiry"]),
            "option": pl.Series(np.where(rows["is_put"] == 1, "P", "C"), dtype=pl.String),
            "strike": pl.Series(np.ascontiguousarray(rows["strike"])),
            "lots": pl.Series(np.ascontiguousarray(rows["lots"])),
            "owner": pl.Series([KINDS[k] for k in rows["owner"]], dtype=pl.String),
            # Overwriters open by selling, all others by buying.
            "opens": pl.Series(bought != (rows["owner"] == OVERWRITING)),
        }
    )


def _symbol(market: Market, c: int, number: int) -> str:
    contract = market.contracts[c]
    when = market.expiry(c, number) if contract.dated else 0
    return contract.symbol(market.coin.name, when)


def _times(minutes: NDArray[np.int64]) -> pl.Series:
    return times(minutes * _MINUTE)


class TruthWriter:
    """Writes the truth beside a store: aside first, in its place when all is written.

    Parameters
    ----------
    store : Path
    note : dict
        What was simulated.
    """

    def __init__(self, store: Path, note: dict[str, Any]) -> None:
        self._place = folder(store)
        self._aside = self._place.with_name("truth.new")
        self._note = note
        self._parts = 0
        self._lock = os.open(store / "simulation.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StoreUnusable(store, "another simulation is being written here") from None
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(parents=True)

    def write(self, coin: str, frames: dict[str, pl.DataFrame]) -> None:
        """Add some minutes of a coin."""
        self._parts += 1
        for name, frame in frames.items():
            part = self._aside / coin / name / f"{self._parts:05}.parquet"
            part.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(part)

    def keep(self) -> None:
        """Put all that was written in its place."""
        (self._aside / _NOTE).write_bytes(msgspec.json.format(msgspec.json.encode(self._note)))
        shutil.rmtree(self._place, ignore_errors=True)
        self._aside.rename(self._place)

    def revoke(self) -> None:
        """Take back what was put in its place."""
        shutil.rmtree(self._place, ignore_errors=True)

    def close(self) -> None:
        """Remove what was not put in its place."""
        shutil.rmtree(self._aside, ignore_errors=True)
        os.close(self._lock)


def note(store: Path) -> dict[str, Any] | None:
    """Return what was simulated into a store, or None if nothing was."""
    place = folder(store) / _NOTE
    return msgspec.json.decode(place.read_bytes()) if place.is_file() else None


class Truth:
    """The truth beside a store, for scoring.

    Parameters
    ----------
    store : Path

    Raises
    ------
    NoSuchData
        If the store was not simulated.
    """

    def __init__(self, store: Path) -> None:
        found = note(store)
        if found is None:
            raise NoSuchData(f"{store}: no truth is known of what is stored here")
        self.note = found
        self._folder = folder(store)

    def read(self, coin: str, name: str) -> pl.DataFrame:
        """Return a table of the truth.

        Parameters
        ----------
        coin : str
        name : {"minutes", "value", "positions", "liquidations", "deleveraged", "options",
            "option_trades"}

        Raises
        ------
        NoSuchData
            If nothing of that name is known of the coin.
        """
        place = self._folder / coin / name
        if not place.is_dir():
            raise NoSuchData(f"no {name} are known of {coin} in {self._folder}")
        return pl.read_parquet(place / "*.parquet")
