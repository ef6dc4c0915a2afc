"""Quotes and trades of options, written by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from plimsoll.market.schema import TABLES

__all__ = ["START", "name", "quotes", "trades"]

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
