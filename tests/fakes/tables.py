"""Rows of a table, written by hand."""

from __future__ import annotations

from typing import Any

import polars as pl

from plimsoll.market import schema
from plimsoll.market.schema import TABLES

__all__ = ["rows"]


def rows(kind: str, records: list[dict[str, Any]]) -> pl.DataFrame:
    """Return rows of a table; what is not named is as the table has it."""
    names = [name for name, dtype in TABLES[kind].schema.items() if dtype == schema.TIME]
    given = {name for record in records for name in record}
    overrides = {name: schema.TIME for name in names if name in given}
    frame = pl.DataFrame(records, schema_overrides=overrides, infer_schema_length=None)
    return TABLES[kind].conform(frame)
