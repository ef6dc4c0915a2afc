"""Tables of public research collections, told apart by their exact columns.

What a table does not say (which exchange, which clock) is taken from its
publisher's description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.market.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plimsoll.archives.source import Source

NAME = "research"
ACCEPTS = (
    "market-wide daily liquidations, raw Binance force orders, OKX account ratios, the 8-hour "
    "spot and perpetual table of three exchanges, daily stablecoin supply"
)

Rows = tuple[str, pl.DataFrame]

_SPOT_PERP_ZONE = "Europe/London"
_BARS_OPEN_EARLIER = {"bybit": 4, "okx": 4}
"""Hours: closes of these lie on those of Binance's hourly candles with it, and not without."""
_DAY = 86_400


def recognises(source: Source) -> bool:
    """Return whether the columns are those of a known table."""
    return frozenset(source.first_row) in _LAYOUTS


def read(source: Source) -> Iterator[Rows]:
    """Yield the file's rows."""
    layout = _LAYOUTS[frozenset(source.first_row)]
    if source.packing == "parquet":
        pieces = source.parquet()
    else:
        pieces = source.csv(dict.fromkeys(source.first_row, pl.String()))
    for piece in pieces:
        yield from layout(piece)


def _daily_liquidations(frame: pl.DataFrame) -> Iterator[Rows]:
    """Sum over an unstated set of exchanges: an order of size, not a level."""
    yield (
        "liquidation_total",
        frame.select(
            "time",
            "long_usd",
            "short_usd",
            "count",
            LINE,
            exchange=pl.lit("aggregate"),
            symbol="base",
            interval=pl.lit(_DAY),
            completeness=pl.lit("unknown"),
            known_at=pl.col("time") + pl.duration(days=1),
        ),
    )


def _force_orders(frame: pl.DataFrame) -> Iterator[Rows]:
    """Binance's own columns; the symbol without its USDT.

    At most one order a second, in stretches that the table does not name: a sample.
    """
    base = pl.col("symbol").str.strip_suffix("USDC")
    quote = (
        pl.when(pl.col("symbol").str.ends_with("USDC"))
        .then(pl.lit("USDC"))
        .otherwise(pl.lit("USDT"))
    )
    yield (
        "liquidation",
        frame.select(
            "time",
            LINE,
            exchange=pl.lit("binance"),
            symbol=pl.format("{}/{}:{}", base, quote, quote),
            side=pl.when(pl.col("side") == "SELL").then(pl.lit("long")).otherwise(pl.lit("short")),
            price="avg_price",
            amount="cum_filled",
            value_usd=pl.col("avg_price") * pl.col("cum_filled"),
            price_kind=pl.lit("fill"),
            completeness=pl.lit("sampled"),
        ),
    )


def _okx_accounts(frame: pl.DataFrame) -> Iterator[Rows]:
    """Account ratios, the running funding estimate, and the mark price, polled about hourly.

    The columns `oi` and `oi_usd` are zero throughout, which is no open interest
    but none recorded; `spot` is not said to be OKX's. None of them is taken.
    """
    common = frame.select(
        "time",
        LINE,
        "lsr",
        "long_pct",
        "funding",
        "mark",
        pl.col("index").cast(pl.Float64, strict=False),
        exchange=pl.lit("okx"),
        symbol=pl.format("{}/USDT:USDT", pl.col("symbol").str.strip_suffix("USDT")),
    )
    ids = ["time", "exchange", "symbol", LINE]
    yield (
        "long_short_ratio",
        common.filter(pl.col("lsr").is_not_null()).select(
            *ids, ratio="lsr", long_share="long_pct", population=pl.lit("accounts")
        ),
    )
    yield (
        "funding",
        common.filter(pl.col("funding").is_not_null()).select(
            *ids, rate="funding", status=pl.lit("predicted")
        ),
    )
    yield (
        "mark_price",
        common.filter(pl.col("mark").is_not_null()).select(
            *ids, mark_price="mark", index_price="index"
        ),
    )


def _spot_perp(frame: pl.DataFrame) -> Iterator[Rows]:
    """Bars of eight hours stamped in British local time, with the settlement at that time.

    A bar opens at its stamp on Binance, four hours before it on Bybit and OKX. The unit of
    coin-margined and OKX volumes is not stated, so it is unknown.
    """
    local = pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    coin = pl.col("pair").str.replace(r"/?USD(T|CM)$", "")
    symbol = (
        pl.when(pl.col("contract") == "spot")
        .then(pl.format("{}/USDT", coin))
        .when(pl.col("pair").str.ends_with("USDCM"))
        .then(pl.format("{}/USD:{}", coin, coin))
        .otherwise(pl.format("{}/USDT:USDT", coin))
    )
    in_base = ~pl.col("pair").str.ends_with("USDCM") & (pl.col("exchange") != "okx")
    common = frame.with_columns(
        local.dt.replace_time_zone(_SPOT_PERP_ZONE, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        .cast(TIME),
        symbol=symbol,
        volume=pl.when(in_base).then("volume"),
    )
    ids = ["time", "exchange", "symbol", LINE]
    earlier = pl.col("exchange").replace_strict(_BARS_OPEN_EARLIER, default=0)
    bars = common.with_columns(time=pl.col("time") - pl.duration(hours=earlier))
    yield (
        "candle",
        bars.select(
            *ids,
            "open",
            "high",
            "low",
            "close",
            "volume",
            interval=pl.lit(8 * 3_600),
            known_at=pl.col("time") + pl.duration(hours=8),
        ),
    )
    yield (
        "funding",
        common.filter(pl.col("funding rate").is_not_null()).select(*ids, rate="funding rate"),
    )


_COINS = ("usdt", "usdc", "usde", "usds", "dai", "others")


def _stablecoins(frame: pl.DataFrame) -> Iterator[Rows]:
    """One column for each coin; derived columns are left, they can be derived again."""
    day = pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC")
    wide = frame.select(
        LINE,
        time=day,
        TOTAL=pl.col("total_usd").cast(pl.Float64, strict=False),
        **{c.upper(): pl.col(f"{c}_usd").cast(pl.Float64, strict=False) for c in _COINS},
    )
    yield (
        "stablecoin_supply",
        wide.unpivot(index=["time", LINE], variable_name="symbol", value_name="supply_usd")
        .drop_nulls("supply_usd")
        .with_columns(exchange=pl.lit("aggregate"), known_at=pl.col("time") + pl.duration(days=1)),
    )


_LAYOUTS: dict[frozenset[str], Callable[[pl.DataFrame], Iterator[Rows]]] = {
    frozenset(["time", "base", "long_usd", "short_usd", "count"]): _daily_liquidations,
    frozenset(
        [
            "symbol",
            "side",
            "type",
            "tif",
            "orig_qty",
            "price",
            "avg_price",
            "status",
            "last_filled",
            "cum_filled",
            "trade_time",
            "usd",
            "src",
            "time",
        ]
    ): _force_orders,
    frozenset(
        [
            "symbol",
            "spot",
            "fut",
            "mark",
            "index",
            "funding",
            "lsr",
            "long_pct",
            "oi",
            "oi_usd",
            "taker",
            "time",
        ]
    ): _okx_accounts,
    frozenset(
        [
            *[
                "time",
                "exchange",
                "crypto",
                "pair",
                "contract",
                "open",
                "high",
                "low",
                "close",
                "volume",
            ],
            "funding rate",
        ]
    ): _spot_perp,
    frozenset(
        ["date", "total_usd", "total_chg_30d_pct", "sivi", *(f"{coin}_usd" for coin in _COINS)]
    ): _stablecoins,
}
