"""Trades of Deribit's engine, for `deribit` and `deribit_options`: futures' and options' alike.

Traps: of another coin than bitcoin the number has a prefix. Block trades and legs of combinations
stand among the trades of the book; a field that other trades lack is all that tells them apart.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Print"]


class Print(Struct):
    """One trade, as a channel or an answer has it.

    A block trade bears the number of its block, and of the request for quotes that it came of; a
    leg of a combination bears the name of the combination, unless that was a block itself.
    """

    instrument_name: str
    trade_id: str
    trade_seq: int
    timestamp: int
    direction: Literal["buy", "sell"]
    price: float
    amount: float
    liquidation: Literal["M", "T", "MT"] | None = None
    block_trade_id: str | None = None
    block_rfq_id: int | str | None = None
    combo_id: str | None = None
    combo_trade_id: int | str | None = None

    @property
    def number(self) -> int:
        """The number of the trade: 34066 of ``ETH-34066``."""
        return int(self.trade_id.rpartition("-")[2])

    @property
    def origin(self) -> Literal["screen", "combo", "block"]:
        """Where it was made."""
        if self.block_trade_id is not None or self.block_rfq_id is not None:
            return "block"
        in_combo = self.combo_id is not None or self.combo_trade_id is not None
        return "combo" if in_combo else "screen"
