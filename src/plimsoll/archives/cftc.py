"""The CFTC's weekly report on traders in financial futures, its contracts on digital assets.

Read are the official text (``FinFutYY.txt``) and the CSV of the public reporting API. Both
report every financial future; only those on digital assets are taken, told by their name. A
contract whose codes are those of digital assets but whose name is not known is rejected.

All contracts are settled in US dollars, so a symbol is ``BTC/USD:USD``; the CFTC's code in
`market` tells a contract of five coins from one of a tenth.

A report tells of its date at midnight UTC, and is taken to be known on the Friday of that week at
15:30 in New York, the CFTC's regular hour. Around holidays and shutdowns the CFTC publishes
later, which the files do not show: then the report was known later than `known_at` says.

References
----------
.. [1] CFTC, "Traders in Financial Futures: Explanatory Notes".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.errors import ArchiveError
from plimsoll.market.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.archives.source import Source

__all__ = ["ACCEPTS", "NAME", "read", "recognises"]

NAME = "cftc"
ACCEPTS = (
    "the CFTC's Traders in Financial Futures, futures only (FinFutYY.txt, or the CSV of the "
    "public reporting API)"
)

_CATEGORIES = {
    "dealer": "dealer",
    "asset_manager": "asset_mgr",
    "leveraged_funds": "lev_money",
    "other_reportable": "other_rept",
    "nonreportable": "nonrept",
}
_NUMBERS = {
    "open_interest",
    *(
        f"{prefix}_positions_{side}"
        for prefix in _CATEGORIES.values()
        for side in ("long", "short", "spread")
    ),
} - {"nonrept_positions_spread"}
_NEEDED = {
    "market_and_exchange_names",
    "report_date_as_yyyy_mm_dd",
    "cftc_contract_market_code",
    "contract_units",
    *_NUMBERS,
}
_EXCHANGES = {
    "CHICAGO MERCANTILE EXCHANGE": "cme",
    "CBOE FUTURES EXCHANGE": "cboe",
    "LMX LABS LLC": "coinbase",
    "COINBASE DERIVATIVES, LLC": "coinbase",
}
_COINS = {
    "AVALANCHE": "AVAX",
    "BITCOIN": "BTC",
    "BITCOIN CASH": "BCH",
    "BITCOIN-USD": "BTC",
    "CARDANO": "ADA",
    "CHAINLINK": "LINK",
    "DOGECOIN": "DOGE",
    "ETHER": "ETH",
    "HEDERA": "HBAR",
    "LITECOIN": "LTC",
    "POLKADOT": "DOT",
    "SOL": "SOL",
    "SOLANA": "SOL",
    "STELLAR": "XLM",
    "XRP": "XRP",
}
_VARIANT = r"^(?:MICRO|NANO) | (?:CASH SETTLED|PERP STYLE)$"
# The CFTC's codes of digital assets start with those of bitcoin, ether, XRP and solana.
_DIGITAL = r"^(?:133|146|176|177)"
_SUBGROUP = "F85"


def recognises(source: Source) -> bool:
    """Return whether the header has the columns of the report, in either spelling."""
    return _NEEDED.issubset(_names(source)) and source.packing != "parquet"


def read(source: Source) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the five categories of each report on a digital asset.

    Raises
    ------
    ArchiveError
        If the report counts options together with futures.
    """
    names = _names(source)
    schema = {name: pl.Float64() if name in _NUMBERS else pl.String() for name in names}
    for piece in source.csv(schema):
        if _combined(piece):
            raise ArchiveError(
                source.path,
                "this is the report on futures and options combined; import futures only",
            )
        yield "commitment", _commitments(_digital(source, piece))


def _names(source: Source) -> tuple[str, ...]:
    plain = (re.sub(r"\W+", "_", name.lower()) for name in source.first_row)
    return tuple(name.removesuffix("_all") for name in plain)


def _combined(frame: pl.DataFrame) -> bool:
    column = "futonly_or_combined"
    return column in frame.columns and bool(frame[column].str.contains("(?i)combined").any())


def _digital(source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows on digital assets with exchange and coin, and reject the unknown."""
    parts = pl.col("market_and_exchange_names").str.extract_groups(r"^(?<name>.*) - (?<where>.*)$")
    words = parts.struct["name"].str.strip_chars().str.to_uppercase()
    frame = frame.with_columns(
        market=pl.col("cftc_contract_market_code").str.strip_chars(),
        coin=words.str.replace_all(_VARIANT, "")
        .str.strip_chars()
        .replace_strict(_COINS, default=None, return_dtype=pl.String),
        exchange=parts.struct["where"]
        .str.strip_chars()
        .str.to_uppercase()
        .replace_strict(_EXCHANGES, default=None, return_dtype=pl.String),
    )
    digital = pl.col("market").str.contains(_DIGITAL)
    if "cftc_subgroup_code" in frame.columns:
        digital |= pl.col("cftc_subgroup_code").str.strip_chars() == _SUBGROUP
    unknown = pl.col("coin").is_null() & digital
    homeless = pl.col("coin").is_not_null() & pl.col("exchange").is_null()
    for row in frame.filter(unknown | homeless).iter_rows(named=True):
        what = "digital asset" if row["coin"] is None else "exchange"
        reason = f"{row['market_and_exchange_names']}: the {what} is not known"
        source.reject(row[LINE], reason, {name: row[name] for name in sorted(_NEEDED)})
    return frame.filter(pl.col("coin").is_not_null() & pl.col("exchange").is_not_null())


def _commitments(frame: pl.DataFrame) -> pl.DataFrame:
    day = pl.col("report_date_as_yyyy_mm_dd").str.strip_chars().str.head(10)
    date = day.str.to_date("%Y-%m-%d", strict=False)
    friday = date + pl.duration(days=5 - date.dt.weekday())
    published = friday.dt.combine(pl.time(15, 30)).dt.replace_time_zone("America/New_York")
    frame = frame.with_columns(
        time=date.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        known_at=published.cast(TIME),
        symbol=pl.format("{}/USD:USD", "coin"),
        contract_size=_contract_size(),
        nonrept_positions_spread=pl.lit(None, pl.Float64),
    )
    return pl.concat(
        frame.select(
            *("exchange", "symbol", "time", "known_at", "market", LINE),
            *("open_interest", "contract_size"),
            pl.lit(category).alias("category"),
            *(
                pl.col(f"{prefix}_positions_{side}").alias(side)
                for side in ("long", "short", "spread")
            ),
        )
        for category, prefix in _CATEGORIES.items()
    ).sort(LINE, maintain_order=True)


def _contract_size() -> pl.Expr:
    """Read ``(5 Bitcoins)``, ``(1/100 X Bitcoin = $300)`` or ``(Bitcoin X $0.10)``; else null."""
    units = pl.col("contract_units").str.replace_all(",", "")
    number = r"(\d*\.?\d+)"
    over = units.str.extract_groups(rf"^\s*\(\s*{number}/{number}\s").struct
    return pl.coalesce(
        over[0].cast(pl.Float64) / over[1].cast(pl.Float64),
        units.str.extract(rf"^\s*\(\s*{number}\s").cast(pl.Float64),
        units.str.extract(rf"^\s*\(\s*[A-Za-z ]+ X \$?{number}\s*\)").cast(pl.Float64),
    )
