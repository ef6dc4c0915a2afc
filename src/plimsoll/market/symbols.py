"""The grammar of symbols, as ccxt writes them.

=============================  ==============================================
``BTC/USDT``                   spot
``BTC/USDT:USDT``              perpetual, linear (settled in the quote)
``BTC/USD:BTC``                perpetual, inverse (settled in the base)
``BTC/USD:USDC``               perpetual, quanto (settled in a third currency)
``BTC/USDT:USDT-261225``       dated future, expiry as YYMMDD
``BTC/USD:BTC-261225-90000-C`` option, with strike and call or put
=============================  ==============================================
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from plimsoll.errors import UnknownSymbol

__all__ = ["Kind", "Settlement", "Symbol", "family"]

Kind = Literal["spot", "perpetual", "future", "option"]
Settlement = Literal["linear", "inverse", "quanto"]

_CURRENCY = r"[^\s/:\-]+"
_SYMBOL = re.compile(
    rf"(?P<base>{_CURRENCY})/(?P<quote>{_CURRENCY})"
    rf"(?::(?P<settle>{_CURRENCY})"
    r"(?:-(?P<expiry>\d{6})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<type>[CP]))?)?)?"
)
_CENTURY = 69
_HINT = (
    "write BASE/QUOTE for spot, BASE/QUOTE:SETTLE for a perpetual, then -YYMMDD for a "
    "future and -STRIKE-C or -STRIKE-P for an option, as in BTC/USDT:USDT"
)


class Symbol(Struct, frozen=True, kw_only=True):
    """The parts of a unified symbol.

    Attributes
    ----------
    base, quote : str
        Currency codes in upper case.
    settle : str or None
        The currency of profit and margin; None for spot.
    expiry : date or None
        The day of expiry in UTC; None for spot and perpetuals.
    strike : Decimal or None
        In quote currency; None but for options.
    option : {"C", "P"} or None
        Call or put.
    """

    base: str
    quote: str
    settle: str | None = None
    expiry: date | None = None
    strike: Decimal | None = None
    option: Literal["C", "P"] | None = None

    @classmethod
    def parse(cls, text: str) -> Symbol:
        """Read a unified symbol.

        Raises
        ------
        UnknownSymbol
            If the text does not follow the grammar, or names no real day.

        Examples
        --------
        >>> Symbol.parse("BTC/USD:BTC-261225-90000-C").strike
        Decimal('90000')
        """
        match = _SYMBOL.fullmatch(text)
        if match is None:
            raise UnknownSymbol(text, _HINT)
        expiry, strike = match["expiry"], match["strike"]
        try:
            day = _day(expiry) if expiry else None
        except ValueError:
            raise UnknownSymbol(text, f"{expiry} is no day written YYMMDD") from None
        return cls(
            base=match["base"],
            quote=match["quote"],
            settle=match["settle"],
            expiry=day,
            strike=Decimal(strike) if strike else None,
            option=match["type"],  # type: ignore[arg-type]
        )

    def __str__(self) -> str:
        text = f"{self.base}/{self.quote}"
        if self.settle is not None:
            text += f":{self.settle}"
        if self.expiry is not None:
            text += f"-{self.expiry:%y%m%d}"
        if self.strike is not None:
            text += f"-{plain(self.strike)}-{self.option}"
        return text

    @property
    def kind(self) -> Kind:
        """What is traded: spot, a perpetual, a dated future or an option."""
        if self.settle is None:
            return "spot"
        if self.expiry is None:
            return "perpetual"
        return "future" if self.strike is None else "option"

    @property
    def settlement(self) -> Settlement | None:
        """How profit is paid: in the quote, in the base, or in a third currency."""
        if self.settle is None:
            return None
        if self.settle == self.quote:
            return "linear"
        return "inverse" if self.settle == self.base else "quanto"


def _day(text: str) -> date:
    """Return the day of six digits, in the century that ``%y`` means."""
    year = int(text[:2])
    return date(year + (2000 if year < _CENTURY else 1900), int(text[2:4]), int(text[4:]))


def plain(strike: Decimal) -> str:
    """Return a strike without exponent or trailing zeros: ``90000``, ``0.52``."""
    text = f"{strike:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def family(symbol: str) -> str:
    """Return the name a symbol's history is filed under.

    Options of one underlying and settlement are filed together, everything
    else under its own symbol.

    Examples
    --------
    >>> family("BTC/USD:BTC-261225-90000-C")
    'BTC/USD:BTC'
    >>> family("BTC/USDT:USDT-261225")
    'BTC/USDT:USDT-261225'
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is not None and match["strike"]:
        return f"{match['base']}/{match['quote']}:{match['settle']}"
    return symbol
