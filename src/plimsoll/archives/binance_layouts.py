"""The tables of Binance's public archive: their columns, and what a row of each says.

COIN-M contracts are worth a fixed number of dollars, 100 for BTC and 10 for every other coin.
Their amounts are turned into coins here; where the archive gives coins beside contracts, those
are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.market.interval import duration
from plimsoll.market.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plimsoll.market.native import Market

__all__ = ["LAYOUTS", "MICROSECONDS", "MILLISECONDS", "Facts", "Layout", "PriceKind", "Series"]

PriceKind = Literal["trade", "mark", "index", "premium"]

MILLISECONDS = (10**11, 10**14)
"""Where a stamp in milliseconds lies, from 1973 to 5138."""
MICROSECONDS = (10**14, 10**17)
"""Where a stamp in microseconds lies, in the same years."""


def _typed(names: str, dtype: pl.DataType) -> dict[str, pl.DataType]:
    return dict.fromkeys(names.split(), dtype)


_TYPES = (
    _typed(
        "agg_trade_id first_trade_id last_trade_id transact_time id time open_time close_time "
        "count calc_time update_id transaction_time event_time hour",
        pl.Int64(),
    )
    | _typed("is_buyer_maker", pl.Boolean())
    | _typed(
        "is_best_match ignore create_time timestamp symbol side order_type time_in_force "
        "order_status base_asset quote_asset date underlying type strike",
        pl.String(),
    )
)


@dataclass(frozen=True)
class Series:
    """What all rows of a file have in common.

    Attributes
    ----------
    market : {"spot", "linear", "inverse", "option"}
    symbol : str
        Unified.
    contract : float or None, US dollars
        The worth of one contract; None where amounts are in base units.
    interval : str
        The length of a candle as the file's name has it, ``1m`` or ``1mo``.
    price_kind : {"trade", "mark", "index", "premium"}
        The price of a candle.
    """

    market: Market
    symbol: str
    contract: float | None = None
    interval: str = ""
    price_kind: PriceKind = "trade"

    def base(self, quantity: str, price: str) -> pl.Expr:
        """Return a quantity in base units."""
        if self.contract is None:
            return pl.col(quantity)
        return pl.col(quantity) * self.contract / pl.col(price)


@dataclass(frozen=True)
class Facts:
    """How rows of a file become rows of one table.

    Attributes
    ----------
    kind : str
        The table.
    columns : mapping of str to Expr
        Its columns.
    where : Expr or None
        Which rows say anything of this kind; None for all.
    """

    kind: str
    columns: Mapping[str, pl.Expr]
    where: pl.Expr | None = None

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the table's rows, with `LINE`."""
        kept = rows if self.where is None else rows.filter(self.where)
        return kept.select(LINE, exchange=pl.lit("binance"), **self.columns)


@dataclass(frozen=True)
class Layout:
    """The columns of one type of file.

    Attributes
    ----------
    columns : tuple of str
        In the order of the file.
    facts : callable
        What its rows say, given what they have in common.
    stamp : str or None
        The column of time where that is a number.
    spot_only : int
        How many of the last columns only spot files have.
    names_rows : bool
        Whether each row names its own instrument, in ``symbol``.
    """

    columns: tuple[str, ...]
    facts: Callable[[Series], list[Facts]]
    stamp: str | None = None
    spot_only: int = 0
    names_rows: bool = False

    @property
    def widths(self) -> tuple[int, int]:
        """The numbers of columns of a futures file and of a spot file."""
        return len(self.columns) - self.spot_only, len(self.columns)

    def schema(self, width: int) -> dict[str, pl.DataType]:
        """Return the first `width` columns and their types."""
        return {name: _TYPES.get(name, pl.Float64()) for name in self.columns[:width]}

    def fits(self, first_row: tuple[str, ...], *, header: bool) -> bool:
        """Return whether a file that starts so is of this layout."""
        if len(first_row) not in self.widths:
            return False
        names = zip(self.columns, first_row, strict=False)
        return not header or all(
            found in {name, _SPELT.get(name), "ignore"} for name, found in names
        )


_SPELT = {"quote_qty": "base_qty"}  # what the COIN-M files hold in that place


def _stamp(column: str) -> pl.Expr:
    """Read a moment in milliseconds or microseconds; null where it is in neither."""
    value = pl.col(column)
    micros = (
        pl.when(value.is_between(*MILLISECONDS, closed="left"))
        .then(value * 1000)
        .when(value.is_between(*MICROSECONDS, closed="left"))
        .then(value)
    )
    return micros.cast(TIME)


def _moment(column: str, form: str = "%Y-%m-%d %H:%M:%S") -> pl.Expr:
    text = pl.col(column)
    return text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)


def _word(choices: Mapping[str, tuple[str, ...]], column: str) -> pl.Expr:
    """Translate the exchange's words into ours; null where a word is unknown."""
    value = pl.col(column)
    return pl.coalesce(
        pl.when(value.is_in(theirs)).then(pl.lit(ours)) for ours, theirs in choices.items()
    )


def _positive(column: str) -> pl.Expr:
    """Return the column with null where it is not positive: the archive's way to say unknown."""
    value = pl.col(column)
    return pl.when(value.is_finite() & (value > 0)).then(value)


def _trade(series: Series, columns: Mapping[str, pl.Expr], grain: str) -> list[Facts]:
    buyer_waited = pl.col("is_buyer_maker")
    common = {
        "symbol": pl.lit(series.symbol),
        "side": pl.when(buyer_waited).then(pl.lit("sell")).when(~buyer_waited).then(pl.lit("buy")),
        "price": pl.col("price"),
        "grain": pl.lit(grain),
    }
    return [Facts("trade", common | dict(columns))]


def _aggregate_trades(series: Series) -> list[Facts]:
    columns = {
        "time": _stamp("transact_time"),
        "id": pl.col("agg_trade_id"),
        "amount": series.base("quantity", "price"),
    }
    return _trade(series, columns, "aggregate")


def _single_trades(series: Series) -> list[Facts]:
    amount = "qty" if series.contract is None else "quote_qty"
    columns = {"time": _stamp("time"), "id": pl.col("id"), "amount": pl.col(amount)}
    return _trade(series, columns, "single")


def _volumes(series: Series) -> dict[str, pl.Expr]:
    base = {"volume": "volume", "taker_buy_volume": "taker_buy_volume"}
    quote = {"quote_volume": "quote_volume", "taker_buy_quote_volume": "taker_buy_quote_volume"}
    count = {"trades": pl.col("count")}
    if series.contract is None:
        return count | {ours: pl.col(theirs) for ours, theirs in (base | quote).items()}
    # Here `volume` counts contracts, and the place of the quote volume holds coins.
    coins = zip(base, quote.values(), strict=True)
    contracts = zip(quote, base.values(), strict=True)
    return (
        count
        | {ours: pl.col(theirs) for ours, theirs in coins}
        | {ours: pl.col(theirs) * series.contract for ours, theirs in contracts}
    )


def _candles(series: Series) -> list[Facts]:
    """Months are filed under 30 days, as their lengths differ; each is known at its own end."""
    monthly = series.interval.endswith(("mo", "M"))
    seconds = 30 * 86_400 if monthly else int(duration(series.interval).total_seconds())
    time = _stamp("open_time")
    columns = {
        "symbol": pl.lit(series.symbol),
        "time": time,
        "known_at": time.dt.offset_by("1mo" if monthly else f"{seconds}s"),
        "interval": pl.lit(seconds),
        "price_kind": pl.lit(series.price_kind),
        **{name: pl.col(name) for name in ("open", "high", "low", "close")},
    }
    return [Facts("candle", columns | (_volumes(series) if series.price_kind == "trade" else {}))]


def _funding(series: Series) -> list[Facts]:
    columns = {
        "symbol": pl.lit(series.symbol),
        "time": _stamp("calc_time"),
        "known_at": _stamp("calc_time"),
        "rate": pl.col("last_funding_rate"),
        "interval_hours": pl.col("funding_interval_hours"),
        "status": pl.lit("settled"),
    }
    return [Facts("funding", columns)]


_POPULATIONS = {
    "top_accounts": "count_toptrader_long_short_ratio",
    "top_positions": "sum_toptrader_long_short_ratio",
    "accounts": "count_long_short_ratio",
}


def _metrics(series: Series) -> list[Facts]:
    time = _moment("create_time")
    common = {
        "symbol": pl.col("symbol"),
        "time": time,
        "known_at": time + pl.duration(minutes=5),
    }
    amount, value = _positive("sum_open_interest"), _positive("sum_open_interest_value")
    if series.contract is not None:
        amount, value = value, amount * series.contract
    taker = _positive("sum_taker_long_short_vol_ratio")
    return [
        Facts(
            "open_interest",
            common | {"amount": amount, "value_usd": value},
            amount.is_not_null() | value.is_not_null(),
        ),
        *(
            Facts(
                "long_short_ratio",
                common | {"population": pl.lit(population), "ratio": _positive(column)},
                _positive(column).is_not_null(),
            )
            for population, column in _POPULATIONS.items()
        ),
        Facts(
            "taker_volume", common | {"interval": pl.lit(300), "ratio": taker}, taker.is_not_null()
        ),
    ]


def _book_depth(series: Series) -> list[Facts]:
    amount, value = pl.col("depth"), pl.col("notional")
    if series.contract is not None:
        amount, value = value, amount * series.contract
    columns = {
        "symbol": pl.lit(series.symbol),
        "time": _moment("timestamp"),
        "distance": pl.col("percentage") / 100,
        "amount": amount,
        "value_usd": value,
    }
    return [Facts("book_depth", columns)]


def _book_ticker(series: Series) -> list[Facts]:
    """Of several updates stamped with one time the last stands: the book as that time left it."""
    time = pl.col("transaction_time")
    last = (time != time.shift(-1)).fill_null(value=True)
    return [
        Facts(
            "book_level",
            {
                "symbol": pl.lit(series.symbol),
                "time": _stamp("transaction_time"),
                "known_at": pl.max_horizontal(_stamp("transaction_time"), _stamp("event_time")),
                "side": pl.lit(side),
                "level": pl.lit(0),
                "price": pl.col(f"best_{side}_price"),
                "amount": series.base(f"best_{side}_qty", f"best_{side}_price"),
            },
            last,
        )
        for side in ("bid", "ask")
    ]


def _liquidations(series: Series) -> list[Facts]:
    filled, price = pl.col("accumulated_fill_quantity"), pl.col("average_price")
    worth = filled * (price if series.contract is None else series.contract)
    columns = {
        "symbol": pl.lit(series.symbol),
        "time": _stamp("time"),
        "side": _word({"long": ("SELL",), "short": ("BUY",)}, "side"),
        "price": price,
        "amount": series.base("accumulated_fill_quantity", "average_price"),
        "value_usd": worth,
        "price_kind": pl.lit("fill"),
        "completeness": pl.lit("throttled"),
    }
    return [Facts("liquidation", columns)]


def _option_quotes(_series: Series) -> list[Facts]:
    """Leave out the volume, which is of the hour, where the table's is of 24."""
    time = _moment("date", "%Y-%m-%d") + pl.duration(hours="hour")
    prices = {
        "bid_price": "best_bid_price",
        "ask_price": "best_ask_price",
        "mark_price": "mark_price",
        "last_price": "close",
        "bid_iv": "best_buy_iv",
        "ask_iv": "best_sell_iv",
        "mark_iv": "mark_iv",
    }
    others = {
        "bid_amount": "best_bid_qty",
        "ask_amount": "best_ask_qty",
        "open_interest": "openinterest_contracts",
        "open_interest_usd": "openinterest_usdt",
    } | {greek: greek for greek in ("delta", "gamma", "vega", "theta")}
    columns = {
        "symbol": pl.col("symbol"),
        "time": time,
        "known_at": time + pl.duration(hours=1),
        **{ours: _positive(theirs) for ours, theirs in prices.items()},
        **{ours: pl.col(theirs) for ours, theirs in others.items()},
    }
    return [Facts("option_quote", columns)]


def _volatility_index(series: Series) -> list[Facts]:
    columns = {
        "symbol": pl.lit(series.symbol),
        "time": _stamp("calc_time"),
        "value": pl.col("index_value") / 100,
    }
    return [Facts("volatility_index", columns)]


def _layout(
    columns: str,
    facts: Callable[[Series], list[Facts]],
    stamp: str | None = None,
    *,
    spot_only: int = 0,
    names_rows: bool = False,
) -> Layout:
    return Layout(tuple(columns.split()), facts, stamp, spot_only, names_rows)


LAYOUTS: Mapping[str, Layout] = {
    "klines": _layout(
        "open_time open high low close volume close_time quote_volume count taker_buy_volume "
        "taker_buy_quote_volume ignore",
        _candles,
        "open_time",
    ),
    "aggTrades": _layout(
        "agg_trade_id price quantity first_trade_id last_trade_id transact_time is_buyer_maker "
        "is_best_match",
        _aggregate_trades,
        "transact_time",
        spot_only=1,
    ),
    "trades": _layout(
        "id price qty quote_qty time is_buyer_maker is_best_match",
        _single_trades,
        "time",
        spot_only=1,
    ),
    "fundingRate": _layout(
        "calc_time funding_interval_hours last_funding_rate", _funding, "calc_time"
    ),
    "metrics": _layout(
        "create_time symbol sum_open_interest sum_open_interest_value "
        "count_toptrader_long_short_ratio sum_toptrader_long_short_ratio count_long_short_ratio "
        "sum_taker_long_short_vol_ratio",
        _metrics,
        names_rows=True,
    ),
    "bookDepth": _layout("timestamp percentage depth notional", _book_depth),
    "bookTicker": _layout(
        "update_id best_bid_price best_bid_qty best_ask_price best_ask_qty transaction_time "
        "event_time",
        _book_ticker,
        "transaction_time",
    ),
    "liquidationSnapshot": _layout(
        "time side order_type time_in_force original_quantity price average_price order_status "
        "last_fill_quantity accumulated_fill_quantity",
        _liquidations,
        "time",
    ),
    "EOHSummary": _layout(
        "date hour symbol underlying type strike open high low close volume_contracts volume_usdt "
        "best_bid_price best_ask_price best_bid_qty best_ask_qty best_buy_iv best_sell_iv "
        "mark_price mark_iv delta gamma vega theta openinterest_contracts openinterest_usdt",
        _option_quotes,
        names_rows=True,
    ),
    "BVOLIndex": _layout(
        "calc_time symbol base_asset quote_asset index_value", _volatility_index, "calc_time"
    ),
}
"""Each type of file by the name the archive gives it; klines of every price are one type."""
