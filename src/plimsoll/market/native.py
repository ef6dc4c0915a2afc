"""What each exchange calls its instruments, and the symbol we give them.

Each exchange is a tuple of products. A product's template both reads and writes
its names, so that the two directions cannot drift apart::

    {base} {quote}       currency codes
    {yymmdd} {yyyymmdd}  261225, 20261225
    {dmy} {ddmy}         5JAN26, 05JAN26
    {code}               Z26: the last Friday of December 2026
    {strike} {dstrike}   0.52, 0d52
    {type}               C or P
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

from plimsoll.errors import UnknownSymbol
from plimsoll.market.symbols import Symbol, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["EXCHANGES", "Market", "native", "unified"]

Market = Literal["spot", "linear", "inverse", "option"]

_CURRENCY = r"[^\s/:@._\-a-z]+"
_BASE = f"{_CURRENCY}?"  # the shortest base leaves the longest quote: BTC + FDUSD
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CODES = "FGHJKMNQUVXZ"
_XBT = {"XBT": "BTC"}


def _last_friday(year: int, month: int) -> date:
    end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return end - timedelta(days=(end.weekday() - 4) % 7)


def _read_dmy(text: str) -> date:
    if text[-5:-2] not in _MONTHS:
        raise ValueError(text)
    return date(2000 + int(text[-2:]), _MONTHS.index(text[-5:-2]) + 1, int(text[:-5]))


def _write_dmy(day: date) -> str:
    return f"{day:%d}{_MONTHS[day.month - 1]}{day:%y}"


def _write_code(day: date) -> str | None:
    if day != _last_friday(day.year, day.month):
        return None
    return f"{_CODES[day.month - 1]}{day:%y}"


def _read_digits(text: str) -> date:
    return date(2000 + int(text[-6:-4]), int(text[-4:-2]), int(text[-2:]))


@dataclass(frozen=True)
class _Expiry:
    """One way to write a day."""

    pattern: str
    read: Callable[[str], date]
    write: Callable[[date], str | None]


_EXPIRIES = {
    "yymmdd": _Expiry(r"\d{6}", _read_digits, lambda day: f"{day:%y%m%d}"),
    "yyyymmdd": _Expiry(r"20\d{6}", _read_digits, lambda day: f"{day:%Y%m%d}"),
    "dmy": _Expiry(r"\d{1,2}[A-Z]{3}\d{2}", _read_dmy, lambda day: _write_dmy(day).lstrip("0")),
    "ddmy": _Expiry(r"\d{1,2}[A-Z]{3}\d{2}", _read_dmy, _write_dmy),
    "code": _Expiry(
        rf"[{_CODES}]\d{{2}}",
        lambda text: _last_friday(2000 + int(text[1:]), _CODES.index(text[0]) + 1),
        _write_code,
    ),
}
_PATTERNS = {name: expiry.pattern for name, expiry in _EXPIRIES.items()} | {
    "strike": r"\d+(?:\.\d+)?",
    "dstrike": r"\d+(?:d\d+)?",
    "type": "[CP]",
}


@dataclass(frozen=True)
class _Product:
    """The names of one kind of product.

    Attributes
    ----------
    template : str
    quotes : str
        Quote currencies, separated by blanks; empty for any.
    settle : {"base", "quote", ""} or str
        Which currency settles, or its code; empty for spot.
    base : str
        Pattern of the base as the exchange writes it.
    coins : mapping of str to str
        Codes the exchange spells its own way, and ours.
    """

    template: str
    quotes: str
    settle: str
    base: str = _BASE
    coins: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fields(self) -> frozenset[str]:
        return frozenset(re.findall(r"{(\w+)}", self.template))

    @cached_property
    def expiry(self) -> tuple[str, _Expiry] | None:
        return next((item for item in _EXPIRIES.items() if item[0] in self.fields), None)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        quote = "|".join(self.quotes.split()) or _CURRENCY
        patterns = _PATTERNS | {"base": self.base, "quote": quote}
        return re.compile(
            re.sub(r"{(\w+)}", lambda m: f"(?P<{m[1]}>{patterns[m[1]]})", self.template)
        )

    @cached_property
    def spelled(self) -> Mapping[str, str]:
        return {ours: theirs for theirs, ours in self.coins.items()}

    @cached_property
    def market(self) -> Market:
        if not self.settle:
            return "spot"
        if "type" in self.fields:
            return "option"
        return "inverse" if self.settle == "base" else "linear"

    def read(self, name: str) -> Symbol | None:
        match = self.pattern.fullmatch(name)
        if match is None:
            return None
        parts: dict[str, str] = match.groupdict()
        base = self.coins.get(parts["base"], parts["base"])
        quote = parts.get("quote", self.quotes)
        strike = parts.get("strike") or parts.get("dstrike", "").replace("d", ".")
        try:
            expiry = self.expiry[1].read(parts[self.expiry[0]]) if self.expiry else None
        except ValueError:
            return None
        return Symbol(
            base=base,
            quote=quote,
            settle=self._settle(base, quote),
            expiry=expiry,
            strike=Decimal(strike) if strike else None,
            option=parts.get("type"),  # type: ignore[arg-type]
        )

    def write(self, symbol: Symbol) -> str | None:
        base = self.spelled.get(symbol.base, symbol.base)
        fits = (
            symbol.quote in (self.quotes.split() or [symbol.quote])
            and symbol.settle == self._settle(symbol.base, symbol.quote)
            and (symbol.expiry is None) == (self.expiry is None)
            and (symbol.strike is None) == (self.market != "option")
            and re.fullmatch(self.base, base)
        )
        if not fits:
            return None
        parts = {"base": base, "quote": symbol.quote, "type": symbol.option or ""}
        if self.expiry and symbol.expiry:
            day = self.expiry[1].write(symbol.expiry)
            if day is None:
                return None
            parts[self.expiry[0]] = day
        if symbol.strike is not None:
            parts["strike"] = plain(symbol.strike)
            parts["dstrike"] = parts["strike"].replace(".", "d")
        return self.template.format(**parts)

    def example(self) -> Symbol:
        quote, option = (self.quotes or "USDT").split()[0], self.market == "option"
        for base in ("BTC", "ETH", "PURR"):
            symbol = Symbol(
                base=base,
                quote=quote,
                settle=self._settle(base, quote),
                expiry=date(2026, 12, 25) if self.expiry else None,
                strike=Decimal(90_000) if option else None,
                option="C" if option else None,
            )
            if self.write(symbol):
                break
        return symbol

    def _settle(self, base: str, quote: str) -> str | None:
        return {"base": base, "quote": quote, "": None}.get(self.settle, self.settle)


# Within an exchange the first product that fits decides: derivatives stand before spot, and
# the current spelling before an older one.
_PRODUCTS: dict[str, tuple[_Product, ...]] = {
    "binance": (
        _Product("{base}{quote}", "USDT USDC BUSD", "quote"),
        _Product("{base}{quote}_{yymmdd}", "USDT USDC BUSD", "quote"),
        _Product("{base}{quote}_PERP", "USD", "base"),
        _Product("{base}{quote}_{yymmdd}", "USD", "base"),
        _Product("{base}-{yymmdd}-{strike}-{type}", "USDT", "quote"),
        _Product(
            "{base}{quote}",
            "USDT USDC FDUSD TUSD BUSD USD1 USDP USDS PAX DAI UST EUR EURI AEUR TRY BRL JPY GBP "
            "AUD RUB UAH ZAR PLN RON ARS MXN COP CZK NGN IDRT BIDR BKRW BVND VAI BTC ETH BNB "
            "SOL TRX XRP DOGE DOT",
            "",
        ),
    ),
    "bybit": (
        _Product("{base}{quote}", "USDT", "quote"),
        _Product("{base}PERP", "USDC", "quote"),
        _Product("{base}{quote}", "USD", "base"),
        _Product("{base}{quote}{code}", "USD", "base"),
        _Product("{base}{quote}-{ddmy}", "USD", "base"),
        _Product("{base}{quote}-{ddmy}", "USDT", "quote"),
        _Product("{base}-{ddmy}", "USDC", "quote"),
        _Product("{base}-{dmy}-{strike}-{type}-{quote}", "USDT", "quote"),
        _Product("{base}-{dmy}-{strike}-{type}", "USDC", "quote"),
        _Product("{base}{quote}", "USDT USDC USDE USD1 BTC ETH SOL EUR BRL TRY PLN DAI MNT", ""),
    ),
    "okx": (
        _Product("{base}-{quote}-SWAP", "USDT USDC", "quote"),
        _Product("{base}-{quote}-SWAP", "USD", "base"),
        _Product("{base}-{quote}-{yymmdd}", "USDT USDC", "quote"),
        _Product("{base}-{quote}-{yymmdd}", "USD", "base"),
        _Product("{base}-{quote}-{yymmdd}-{strike}-{type}", "USD", "base"),
        _Product("{base}-{quote}", "", ""),
    ),
    "deribit": (
        _Product("{base}-PERPETUAL", "USD", "base"),
        _Product("{base}_{quote}-PERPETUAL", "USDC USDT", "quote"),
        _Product("{base}-{dmy}", "USD", "base"),
        _Product("{base}_{quote}-{dmy}", "USDC USDT", "quote"),
        _Product("{base}-{dmy}-{strike}-{type}", "USD", "base"),
        _Product("{base}_{quote}-{dmy}-{dstrike}-{type}", "USDC USDT", "quote"),
        _Product("{base}_{quote}", "", ""),
    ),
    "bitget": (
        _Product("{base}{quote}", "USDT", "quote"),
        _Product("{base}PERP", "USDC", "quote"),
        _Product("{base}{quote}", "USD", "base"),
        _Product("{base}{quote}{code}", "USD", "base"),
        _Product("{base}{quote}", "USDT USDC BTC ETH EUR BRL", ""),
    ),
    "gate": (
        _Product("{base}_{quote}", "USDT", "quote"),
        _Product("{base}_{quote}", "USD", "base"),
        _Product("{base}_{quote}_{yyyymmdd}", "USDT", "quote"),
        _Product("{base}_{quote}_{yyyymmdd}", "USD", "base"),
        _Product("{base}_{quote}-{yyyymmdd}-{strike}-{type}", "USDT", "quote"),
        _Product("{base}_{quote}", "", ""),
    ),
    "hyperliquid": (
        _Product("{base}", "USDC", "quote", base=r"[A-Za-z0-9]+"),
        _Product("{base}/{quote}", "USDC", "", base="PURR"),
    ),
    "kraken": (
        _Product("PF_{base}{quote}", "USD", "quote", coins=_XBT | {"XDG": "DOGE"}),
        _Product("PI_{base}{quote}", "USD", "base", coins=_XBT | {"XDG": "DOGE"}),
        _Product("FF_{base}{quote}_{yymmdd}", "USD", "quote", coins=_XBT | {"XDG": "DOGE"}),
        _Product("FI_{base}{quote}_{yymmdd}", "USD", "base", coins=_XBT | {"XDG": "DOGE"}),
    ),
    "htx": (
        _Product("{base}-{quote}", "USDT", "quote"),
        _Product("{base}-{quote}", "USD", "base"),
        _Product("{base}-{quote}-{yymmdd}", "USDT", "quote"),
        _Product("{base}{yymmdd}", "USD", "base"),
    ),
    # dYdX quotes in dollars and settles in USDC; ccxt names both USDC.
    "dydx": (_Product("{base}-USD", "USDC", "quote"),),
    "kucoin": (
        _Product("{base}{quote}M", "USDT USDC", "quote", coins=_XBT),
        _Product("{base}{quote}M", "USD", "base", coins=_XBT),
        _Product("{base}M{code}", "USD", "base", base="XBT", coins=_XBT),
        _Product("{base}-{quote}", "", ""),
    ),
    "coinbase": (
        _Product("{base}_{quote}-PERPETUAL", "USDC", "quote"),
        _Product("{base}-PERP", "USDC", "quote"),
        _Product("{base}_{quote}", "", ""),
    ),
    "mexc": (
        _Product("{base}_{quote}", "USDT USDC", "quote"),
        _Product("{base}_{quote}", "USD", "base"),
        _Product("{base}{quote}", "USDT USDC USDE USD1 BTC ETH EUR BRL", ""),
    ),
    "bingx": (
        _Product("{base}-{quote}", "USDT USDC", "quote"),
        _Product("{base}-{quote}", "USD", "base"),
        _Product("{base}-{quote}", "", ""),
    ),
    "bitmex": (
        _Product("{base}{quote}", "USDT", "quote", coins=_XBT),
        _Product("{base}{quote}{code}", "USDT", "quote", coins=_XBT),
        _Product("{base}{quote}", "USD EUR", "base", base="XBT", coins=_XBT),
        _Product("{base}{code}", "USD", "base", base="XBT", coins=_XBT),
        _Product("{base}{quote}_ETH", "USD", "base", base="ETH"),
        _Product("{base}{quote}", "USD", "BTC", base=f"(?!XBT|BTC){_BASE}", coins=_XBT),
        _Product("{base}{quote}{code}", "USD", "BTC", base=f"(?!XBT|BTC){_BASE}", coins=_XBT),
        _Product("{base}_{quote}", "USDT", "", coins=_XBT),
    ),
}
_NOTES = {
    "deribit": "; combinations such as BTC-FS-25DEC26_PERP are no instruments of their own",
    "htx": "; names such as BTC_CW move from week to week: give the day of expiry",
    "hyperliquid": "; numbered spot pairs (@107) and markets of other deployers (xyz:TSLA) "
    "have no unified symbol",
}

EXCHANGES: tuple[str, ...] = tuple(_PRODUCTS)
"""The exchanges whose names are known."""


def unified(exchange: str, name: str, *, market: Market | None = None) -> str:
    """Return the unified symbol of an instrument.

    Parameters
    ----------
    exchange : str
        One of `EXCHANGES`.
    name : str
        As the exchange writes it; upper and lower case are not the same.
    market : {"spot", "linear", "inverse", "option"}, optional
        Needed where one name serves two markets, as ``BTCUSDT`` does on
        Binance. When it is not given, the derivative is meant.

    Returns
    -------
    str

    Raises
    ------
    UnknownSymbol
        If the exchange has no such names in that market.
    ValueError
        If the exchange or the market is not known.

    Notes
    -----
    A quanto contract counts as linear. Names with a month code, such as
    ``XBTZ25``, expire on the last Friday of the month.

    Examples
    --------
    >>> unified("binance", "BTCUSDT")
    'BTC/USDT:USDT'
    >>> unified("binance", "BTCUSDT", market="spot")
    'BTC/USDT'
    >>> unified("deribit", "XRP_USDC-30JUN23-0d52-C")
    'XRP/USDC:USDC-230630-0.52-C'
    """
    if market is not None and market not in get_args(Market):
        raise ValueError(f"unknown market {market!r}; known: {', '.join(get_args(Market))}")
    for product in _products(exchange):
        if market in {None, product.market} and (symbol := product.read(name)):
            return str(symbol)
    where = f"{exchange} {market}" if market else exchange
    names = dict.fromkeys(
        product.write(product.example())
        for product in _PRODUCTS[exchange]
        if market in {None, product.market}
    )
    known = f"writes {', '.join(map(str, names))}" if names else "has no such market"
    raise UnknownSymbol(name, f"{where} {known}{_NOTES.get(exchange, '')}")


def native(exchange: str, symbol: str) -> str:
    """Return what an exchange calls an instrument.

    Parameters
    ----------
    exchange : str
        One of `EXCHANGES`.
    symbol : str
        A unified symbol.

    Returns
    -------
    str
        The current spelling, where an exchange has changed it.

    Raises
    ------
    UnknownSymbol
        If the symbol cannot be read, or the exchange has no such product.
    ValueError
        If the exchange is not known.

    Examples
    --------
    >>> native("okx", "BTC/USD:BTC-261225-90000-C")
    'BTC-USD-261225-90000-C'
    """
    products = _products(exchange)
    parts = Symbol.parse(symbol)
    for product in products:
        name = product.write(parts)
        # What would be read as another instrument, as XUSD-26DEC25 of XUSD/USDC, is not written.
        where: Market | None = "spot" if product.market == "spot" else None
        if name is not None and unified(exchange, name, market=where) == str(parts):
            return name
    known = dict.fromkeys(str(product.example()) for product in products)
    raise UnknownSymbol(symbol, f"{exchange} has only products such as {', '.join(known)}")


def _products(exchange: str) -> tuple[_Product, ...]:
    if exchange not in _PRODUCTS:
        raise ValueError(f"unknown exchange {exchange!r}; known: {', '.join(EXCHANGES)}")
    return _PRODUCTS[exchange]
