"""What the CFTC's weekly report on traders in financial futures says of digital assets.

The report tells of every financial future; those on digital assets are told by their name. All
these contracts are settled in US dollars, so a symbol is ``BTC/USD:USD``; the CFTC's code in
`market` tells a contract of five coins from one of a tenth.

A report tells of its date at midnight UTC, and is taken to be known on the Friday of that week at
15:30 in New York, the CFTC's regular hour. Around holidays and shutdowns the CFTC publishes
later, which its reports do not show: then they were known later than `known_at` says.

References
----------
.. [1] CFTC, "Traders in Financial Futures: Explanatory Notes".
"""

from __future__ import annotations

import re

import polars as pl

from plimsoll.market.schema import TIME

__all__ = ["CODES", "NEEDED", "NUMBERS", "SUBGROUP", "combined", "commitments", "named", "plain"]

_CATEGORIES = {
    "dealer": "dealer",
    "asset_manager": "asset_mgr",
    "leveraged_funds": "lev_money",
    "other_reportable": "other_rept",
    "nonreportable": "nonrept",
}
NUMBERS = {
    "open_interest",
    *(
        f"{prefix}_positions_{side}"
        for prefix in _CATEGORIES.values()
        for side in ("long", "short", "spread")
    ),
} - {"nonrept_positions_spread"}
"""The columns that hold numbers, of contracts."""
NEEDED = {
    "market_and_exchange_names",
    "report_date_as_yyyy_mm_dd",
    "cftc_contract_market_code",
    "contract_units",
    *NUMBERS,
}
"""The columns that are read."""
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
CODES = ("133", "146", "176", "177")
"""How the CFTC's codes of digital assets start: as those of bitcoin, ether, XRP and solana."""
SUBGROUP = "F85"
"""The CFTC's code of digital assets as a group; some of them are in other groups."""


def plain(name: str) -> str:
    """Return a column's name as all spellings of the report have it: ``Open_Interest_All``."""
    return re.sub(r"\W+", "_", name.lower()).removesuffix("_all")


def combined(frame: pl.DataFrame) -> bool:
    """Return whether a report counts options together with futures."""
    column = "futonly_or_combined"
    return column in frame.columns and bool(frame[column].str.contains("(?i)combined").any())


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a report with what its names tell.

    Parameters
    ----------
    frame : DataFrame
        With the columns `NEEDED`; the numbers as floats, all others as text.

    Returns
    -------
    DataFrame
        With `market`, `coin` and `exchange`, null where a name is not known, and `digital`:
        whether a code is one of digital assets.
    """
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
    digital = pl.col("market").str.head(3).is_in(CODES)
    if "cftc_subgroup_code" in frame.columns:
        digital |= pl.col("cftc_subgroup_code").str.strip_chars() == SUBGROUP
    return frame.with_columns(digital=digital)


def commitments(frame: pl.DataFrame, *also: str) -> pl.DataFrame:
    """Return the five categories of each report, in its order.

    Parameters
    ----------
    frame : DataFrame
        What `named` returns, without the rows whose coin or exchange is not known.
    also : str
        Columns that are kept beside those of the table `commitment`.
    """
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
    ).with_row_index("row")
    return (
        pl.concat(
            frame.select(
                *("row", "exchange", "symbol", "time", "known_at", "market", *also),
                *("open_interest", "contract_size"),
                pl.lit(category).alias("category"),
                *(
                    pl.col(f"{prefix}_positions_{side}").alias(side)
                    for side in ("long", "short", "spread")
                ),
            )
            for category, prefix in _CATEGORIES.items()
        )
        .sort("row", maintain_order=True)
        .drop("row")
    )


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
