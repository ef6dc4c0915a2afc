"""Quotes and trades of options, written by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from plimsoll.analytics import black
from plimsoll.market.schema import TABLES

__all__ = ["START", "market", "name", "quotes", "trades"]

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def name(day: str, strike: float, kind: str) -> str:
    """Return the symbol of a coin-settled option on bitcoin: day as YYMMDD, kind C or P."""
    return f"BTC/USD:BTC-{day}-{strike:g}-{kind}"


def _frame(table: str, rows: list[dict[str, Any]], usual: dict[str, Any]) -> pl.DataFrame:
    about = {"exchange": "deribit", "time": START}
    made = [{**about, **usual, **row} for row in rows]
    whole = [{**row, "known_at": row.get("known_at", row["time"])} for row in made]
    return pl.DataFrame(whole, schema=TABLES[table].schema)


def quotes(*rows: dict[str, Any], **usual: Any) -> pl.DataFrame:
    """Return rows of the `option_quote` table; what is not named is null."""
    return _frame("option_quote", list(rows), usual)


def trades(*rows: dict[str, Any], **usual: Any) -> pl.DataFrame:
    """Return rows of the `trade` table, numbered."""
    numbered = [{"id": number, **row} for number, row in enumerate(rows)]
    return _frame("trade", numbered, {"grain": "single", "price": 0.01, **usual})


def market(hours: int = 24 * 10) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return quotes every six hours, and trades, of a small market without arbitrage.

    The forward is 60,000 and every volatility 50 %. Open interest of the near call grows by a coin
    with each quote, and a taker buys that coin an hour before; all else stands still.
    """
    strikes = (40_000, 50_000, 55_000, 60_000, 65_000, 70_000, 80_000)
    options = [(day, k, kind) for day in ("260328", "260424") for k in strikes for kind in "CP"]
    expiry = {"260328": datetime(2026, 3, 28, 8, tzinfo=UTC)}
    expiry["260424"] = datetime(2026, 4, 24, 8, tzinfo=UTC)
    quoted, traded = [], []
    for number, hour in enumerate(range(0, hours, 6)):
        time = START + timedelta(hours=hour)
        for day, strike, kind in options:
            years = float((expiry[day] - time) / timedelta(days=365))
            coin = float(black.price(60_000, strike, years, 0.5, kind == "C")) / 60_000
            grows = (day, strike, kind) == ("260328", 65_000, "C")
            quoted.append(
                {
                    "symbol": name(day, strike, kind),
                    "time": time,
                    "underlying_price": 60_000.0,
                    "index_price": 60_000.0,
                    "mark_price": coin,
                    "bid_price": 0.98 * coin,
                    "ask_price": 1.02 * coin,
                    "mark_iv": 0.5,
                    "open_interest": 10.0 + grows * number if kind == "C" else 5.0,
                    "volume": 1.0,
                }
            )
        if number:
            taken = {"symbol": name("260328", 65_000, "C"), "side": "buy", "amount": 1.0}
            traded.append({**taken, "time": time - timedelta(hours=1)})
    return quotes(*quoted), trades(*traded)
