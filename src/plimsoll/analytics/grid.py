"""The rows of prices on which positions are kept and shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """A window on the absolute logarithmic grid of prices.

    Attributes
    ----------
    step : float, log price
        The width of a bucket.
    first : int
        The first row, counted in rows from price one.
    rows : int
    span : int
        Buckets in a row; rows start at multiples of it.
    """

    step: float
    first: int
    rows: int
    span: int = 1

    @classmethod
    def covering(cls, low: float, high: float, step: float, rows: int | None = None) -> Grid:
        """Return the smallest window that holds both prices.

        Parameters
        ----------
        low, high : float, quote per base
        step : float, log price
        rows : int or None
            Join neighboring buckets until no more rows than this remain.

        Raises
        ------
        ValueError
            If not 0 < low ≤ high, or `rows` is below two.

        Examples
        --------
        >>> Grid.covering(50_000, 100_000, 0.001, rows=400).span
        2
        """
        if not 0 < low <= high < math.inf:
            raise ValueError(f"a range of prices needs 0 < low ≤ high; got {low} to {high}")
        if rows is not None and rows < 2:
            raise ValueError(f"a range of prices needs two rows or more; got {rows}")
        first, last = (math.floor(math.log(price) / step) for price in (low, high))
        span = 1 if rows is None else max(1, (last - first) // rows)
        while rows is not None and last // span - first // span + 1 > rows:
            span += 1
        return cls(step, first // span, last // span - first // span + 1, span)

    @property
    def edges(self) -> Floats:
        """Where rows start and the last one ends; shape (rows + 1,), quote per base."""
        edges: Floats = np.exp(
            np.arange(self.first, self.first + self.rows + 1) * self.span * self.step
        )
        return edges

    @property
    def view(self) -> tuple[int, int]:
        """The first bucket, and the buckets in a row."""
        return self.first * self.span, self.span
