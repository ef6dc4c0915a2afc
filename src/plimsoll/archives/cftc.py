"""The CFTC's weekly report on traders in financial futures, its contracts on digital assets.

Read are the official text (``FinFutYY.txt``) and the CSV of the public reporting API. Both
report every financial future; only those on digital assets are taken, told by their name. A
contract whose codes are those of digital assets but whose name is not known is rejected.

All contracts are settled in US dollars, so a symbol is ``BTC/USD:USD``; the CFTC's code in
`market` tells a contract of five coins from one of a tenth.

A report tells of its date at midnight UTC, and is taken to be known on the Friday of that week at
15:30 in New York, the CFTC's regular hour. Around holidays and shutdowns the CFTC publishes
later, which the files do not show: then the report was known later than `known_at` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.errors import ArchiveError
from plimsoll.market import commitments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.archives.source import Source

__all__ = ["ACCEPTS", "NAME", "read", "recognises"]

NAME = "cftc"
ACCEPTS = (
    "the CFTC's Traders in Financial Futures, futures only (FinFutYY.txt, or the CSV of the "
    "public reporting API)"
)


def recognises(source: Source) -> bool:
    """Return whether the header has the columns of the report, in either spelling."""
    return commitments.NEEDED.issubset(_names(source)) and source.packing != "parquet"


def read(source: Source) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the five categories of each report on a digital asset.

    Raises
    ------
    ArchiveError
        If the report counts options together with futures.
    """
    schema = {
        name: pl.Float64() if name in commitments.NUMBERS else pl.String()
        for name in _names(source)
    }
    for piece in source.csv(schema):
        if commitments.combined(piece):
            raise ArchiveError(
                source.path,
                "this is the report on futures and options combined; import futures only",
            )
        yield "commitment", commitments.commitments(_digital(source, piece), LINE)


def _names(source: Source) -> tuple[str, ...]:
    return tuple(commitments.plain(name) for name in source.first_row)


def _digital(source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows on digital assets, and reject the unknown."""
    frame = commitments.named(frame)
    unknown = pl.col("coin").is_null() & pl.col("digital")
    homeless = pl.col("coin").is_not_null() & pl.col("exchange").is_null()
    for row in frame.filter(unknown | homeless).iter_rows(named=True):
        what = "digital asset" if row["coin"] is None else "exchange"
        reason = f"{row['market_and_exchange_names']}: the {what} is not known"
        source.reject(row[LINE], reason, {name: row[name] for name in sorted(commitments.NEEDED)})
    return frame.filter(pl.col("coin").is_not_null() & pl.col("exchange").is_not_null())
