"""Instruments: what one contract is, and how much margin it asks for."""

from __future__ import annotations

import math
import sys
from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct

from plimsoll.market.symbols import Kind, Settlement, Symbol

__all__ = ["Bracket", "Brackets", "Instrument", "cumulative"]


class Bracket(Struct, frozen=True, kw_only=True):
    """One maintenance bracket: what a position of that notional must hold.

    Attributes
    ----------
    floor, cap : float, quote currency (linear) or base currency (inverse)
        The bracket serves notionals in [floor, cap); the largest of all floats where none caps it.
    maintenance_rate : float, fraction of notional
    max_leverage : float, dimensionless
    cum : float, same unit as `floor`
        What the rate overstates: maintenance = notional × rate − cum.
    """

    floor: float
    cap: float
    maintenance_rate: float
    max_leverage: float
    cum: float


class Brackets(Struct, frozen=True, kw_only=True, tag=True):
    """The maintenance brackets of an instrument from a date on.

    Attributes
    ----------
    exchange, symbol : str
    since : datetime
        The first moment they were in force, in UTC.
    brackets : tuple of Bracket
        By rising floor, without holes, starting at zero.
    """

    exchange: str
    symbol: str
    since: datetime
    brackets: tuple[Bracket, ...]

    def __post_init__(self) -> None:
        if not self.brackets:
            raise ValueError(f"{self.exchange} {self.symbol}: no brackets given")
        floor = 0.0
        for bracket in self.brackets:
            if bracket.floor != floor or not bracket.cap > floor:
                raise ValueError(
                    f"{self.exchange} {self.symbol}: brackets must start at 0 and follow on "
                    f"without holes; one starts at {bracket.floor}, expected {floor}"
                )
            if not (0 <= bracket.maintenance_rate <= 1 and 0 < bracket.max_leverage < math.inf):
                raise ValueError(
                    f"{self.exchange} {self.symbol}: a bracket has a maintenance rate of "
                    f"{bracket.maintenance_rate} and a leverage of {bracket.max_leverage}; a rate "
                    "is from 0 to 1, a leverage positive and finite"
                )
            floor = bracket.cap

    @classmethod
    def build(
        cls,
        exchange: str,
        symbol: str,
        since: datetime,
        tiers: list[tuple[float, float, float]],
    ) -> Brackets:
        """Return brackets with `cum` rebuilt, for a venue that gives none.

        Parameters
        ----------
        exchange, symbol : str
        since : datetime
            When they came into force.
        tiers : list of (cap, maintenance rate, maximum leverage)
            By rising cap, the last infinite where it has none; the first starts at zero.
        """
        floors = [0.0, *(cap for cap, _, _ in tiers[:-1])]
        cums = cumulative(floors, [rate for _, rate, _ in tiers])
        return cls(
            exchange=exchange,
            symbol=symbol,
            since=since,
            brackets=tuple(
                Bracket(
                    floor=floor,
                    cap=min(cap, sys.float_info.max),  # JSON knows no infinity
                    maintenance_rate=rate,
                    max_leverage=lev,
                    cum=cum,
                )
                for floor, cum, (cap, rate, lev) in zip(floors, cums, tiers, strict=True)
            ),
        )


def cumulative(floors: list[float], rates: list[float]) -> list[float]:
    r"""Return the maintenance amount each bracket's rate overstates.

    .. math:: c_1 = 0, \quad c_n = c_{n-1} + f_n (m_n - m_{n-1})

    which makes the maintenance margin continuous in the notional.

    Parameters
    ----------
    floors : list of float, shape (n,), currency of notional
        Where each bracket starts.
    rates : list of float, shape (n,), fraction of notional
        Each bracket's maintenance rate.

    Returns
    -------
    list of float, shape (n,), currency of notional

    References
    ----------
    .. [1] Binance Support, "Liquidation Protocols": maintenance amount.

    Examples
    --------
    >>> cumulative([0, 50_000, 600_000], [0.004, 0.005, 0.0065])
    [0.0, 50.0, 950.0]
    """
    cums = [0.0]
    for n in range(1, len(rates)):
        cums.append(round(cums[-1] + floors[n] * (rates[n] - rates[n - 1]), 8))
    return cums


class Instrument(Struct, frozen=True, kw_only=True, tag=True):
    """One instrument on one exchange.

    Attributes
    ----------
    exchange, symbol : str
    contract_size : Decimal
        Base units of one contract (linear), or dollars of one contract
        (inverse); one for spot.
    tick : Decimal or None, quote per base
        The smallest step of price.
    listed, delisted : date or None
    """

    exchange: str
    symbol: str
    contract_size: Decimal = Decimal(1)
    tick: Decimal | None = None
    listed: date | None = None
    delisted: date | None = None

    def __post_init__(self) -> None:
        if not 0 < float(self.contract_size) < math.inf:
            raise ValueError(f"{self.symbol}: contract size must be positive and finite")
        if self.tick is not None and not 0 < float(self.tick) < math.inf:
            raise ValueError(f"{self.symbol}: tick must be positive and finite")

    @property
    def parts(self) -> Symbol:
        """The symbol taken apart."""
        return Symbol.parse(self.symbol)

    @property
    def kind(self) -> Kind:
        """Spot, perpetual, future or option."""
        return self.parts.kind

    @property
    def settlement(self) -> Settlement | None:
        """Linear, inverse or quanto; None for spot."""
        return self.parts.settlement

    def amount(self, contracts: float, price: float) -> float:
        """Return contracts in base units.

        Parameters
        ----------
        contracts : float
        price : float, quote per base
            Needed for inverse contracts, whose size is in dollars.

        Returns
        -------
        float, base units
        """
        size = float(self.contract_size)
        return contracts * size / price if self.settlement == "inverse" else contracts * size
