r"""Which positions stand open, and where they would be liquidated: an inventory moved by flows.

The inventory holds open, liquidatable positions in base units by side, leverage tier, age class
and liquidation price. At one leverage the liquidation price is the entry price times a constant,
so that it says where a position was entered as well. Prices are kept in buckets of an absolute
logarithmic grid: bucket :math:`i` covers :math:`[e^{is}, e^{(i+1)s})` for a step :math:`s`.

A bar brings prices, volume :math:`V` and the open interest at its end, which changed by
:math:`\Delta`. Every trade opens or closes on each side, so openings and closings of longs
(:math:`L^\pm`) and shorts (:math:`S^\pm`) obey

.. math:: L^+ - L^- = S^+ - S^- = \Delta, \qquad L^+ + S^- = S^+ + L^- = V',

which leaves one unknown. Two priors settle it: a share :math:`\eta` of the volume beyond
:math:`|\Delta|` outlives the bar, :math:`V' = |\Delta| + \eta (V - |\Delta|)`, and longs take
the share :math:`\varphi` of it, the logistic of :math:`a (2 V_{\mathrm{taker\,buy}}/V - 1)`:

.. math:: L^+ = \max(0, \Delta) + \varphi\,(V' - |\Delta|).

Only a share :math:`\lambda` of the open interest can be liquidated; all flows are multiplied by
it. For each bar, in this order:

0. *Predict.* Where a column is wanted, copy what stands at the bar's open. It knows nothing of
   the bar but its open price.
1. *Cross.* A long's bucket touched by the low, a short's touched by the high, is emptied: what
   was shown there are the predicted liquidations.
2. *Flow.* Solve the identities above.
3. *Age.* A share :math:`1 - e^{-h/w}` of each class of width :math:`w` moves to the next.
4. *Close.* Closings beyond those crossed (a liquidation is a closing: it is not taken out twice)
   leave in proportion to mass times the readiness of its class.
5. *Open.* Openings are spread evenly in log price over the bar's range and over tiers by weight.
   What the bar's close already touches did not outlive the bar.
6. *Reconcile.* Each side totals :math:`\lambda` times the open interest. What has no known entry
   is *unplaced*; the map is never scaled up to invent one. Where more is known than can stand,
   it is scaled down.

What is shown of a position that would be liquidated at a distance :math:`d` from its entry, when
the price has come :math:`z` of it, is what *attrition* has left of it: stops, second thoughts and
more margin take

.. math:: S(z) = (1 + z / 1\%)^{-\kappa}

of it. Nothing else changes: flows say how much was closed, not by whom; what :math:`S` takes off
the price's way stands elsewhere, and nobody knows where.

Likewise of tiers that last longer than others (`lasting`) more is shown, each side's age classes
keeping their totals: see `inventory_columns`.

Where an exchange changes the maintenance margin, what stands moves: see `inventory_margins`.

A bar without open interest only crosses and ages; its range and volume join those of the next bar
with one, whose :math:`\Delta` counts from the last known. Without a price nothing is crossed.

References
----------
.. [1] Cheng, Deng, Wang, Yu (2021), "Liquidation, Leverage and Optimal Margin in Bitcoin Futures
   Markets", Applied Economics 53(47), arXiv:2102.04591: leverage of liquidated positions.
.. [2] BitMEX blog, 15 May 2019: notional-weighted effective leverage, 2018 and 2019.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct

from plimsoll.analytics.grid import Grid
from plimsoll.analytics.inventory_columns import lasting, show
from plimsoll.analytics.inventory_laws import laws
from plimsoll.analytics.inventory_margins import move, part, stretches
from plimsoll.analytics.inventory_numba import advance, touched_cells
from plimsoll.analytics.inventory_state import HIGH, LOW, Record, State, marks, matrix
from plimsoll.analytics.margins import Sizes, in_force, smallest
from plimsoll.market.instrument import Brackets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    import polars as pl
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["ALIKE", "Grid", "Inventory", "Parameters", "Record"]

ALIKE: dict[str, None] = dict.fromkeys(("shorts", "liquidatable_shorts", "lasting"))
"""What makes parameters those of both sides alike, at any age."""
_FAR = 2**62


class Parameters(Struct, frozen=True, kw_only=True):
    """What the model assumes; every default is a prior, none is fitted.

    Attributes
    ----------
    leverage : tuple of float, dimensionless
        The tiers, rising.
    weights : tuple of float, fraction
        How new positions spread over the tiers; judgement, from effective leverage of 22 to 30 on
        BitMEX in 2018 and 2019 [2]_ and of 60 among the liquidated [1]_, lowered for the
        institutions that trade most volume since.
    liquidatable : float, fraction, λ
        What part of the open interest leverage can liquidate: the rest is hedged, in portfolio
        margin, or hardly leveraged. Judgement.
    churn : float, fraction, η
        What part of the volume that leaves open interest unchanged changes hands for longer than
        a bar; low, because market makers' round trips are most of it. Judgement.
    taker : float, dimensionless, a
        How strongly takers' side leans the churn to longs; at 1, buyers only give longs 73 %.
    maintenance : float, fraction of notional, or tuple of Brackets
        The rate of all sizes, or the brackets by rising date; those first in the tuple count before
        their own date as well. The default is Binance's first bracket of BTC/USDT.
    sizes : Sizes or None
        How large positions are, for brackets; None for all as the smallest. See `margins`.
    fee : float, fraction of notional
        Closing fee, where the exchange adds it to the maintenance.
    settlement : {"linear", "inverse"}
        Whether margin and profit are in quote or in base.
    step : float, log price
        The width of a bucket.
    ages : tuple of float, hours
        Where age classes end; one more class has no end.
    closing : tuple of float, dimensionless
        How readily each class closes relative to the others; the unplaced close as the oldest.
        Recent positions turn over first. Judgement.
    memory : float, hours
    moves : bool
        Which flows to believe; see `flows`.
    attrition : float, dimensionless, κ
        How positions leave as the price comes nearer, by hand or by more margin; at 0 all stay.
    shorts : tuple of float, fraction, or None
        The weights of shorts, where `weights` are of longs alone; None where they are of both.
    liquidatable_shorts : float, fraction, or None
        Of shorts, likewise.
    lasting : tuple, shape (2, tiers, age classes), dimensionless, or None, r
        How much more of a tier is left at an age than of others, beside what the price took, by
        side; None where all last alike.

    Raises
    ------
    ValueError
        If a value is out of range, weights do not sum to one, or a tier's initial margin
        1/L does not exceed maintenance and fee.
    """

    leverage: tuple[float, ...] = (2, 3, 5, 10, 20, 25, 50, 100)
    weights: tuple[float, ...] = (0.10, 0.15, 0.20, 0.25, 0.10, 0.08, 0.08, 0.04)
    liquidatable: float = 0.5
    churn: float = 0.2
    taker: float = 1.0
    maintenance: float | tuple[Brackets, ...] = 0.004
    sizes: Sizes | None = None
    fee: float = 0.0
    settlement: Literal["linear", "inverse"] = "linear"
    step: float = 0.001
    ages: tuple[float, ...] = (1.0, 8.0, 24.0)
    closing: tuple[float, ...] = (1.0, 0.8, 0.5, 0.1)
    memory: float = 0.0
    moves: bool = False
    attrition: float = 0.0
    shorts: tuple[float, ...] | None = None
    liquidatable_shorts: float | None = None
    lasting: tuple[tuple[tuple[float, ...], ...], ...] | None = None

    def __post_init__(self) -> None:
        for broken, message in self._rules():
            if broken:
                raise ValueError(message)

    @property
    def reachable(self) -> tuple[float, float]:
        """What part of the open interest leverage can liquidate, of longs and of shorts."""
        other = self.liquidatable_shorts
        return self.liquidatable, self.liquidatable if other is None else other

    def _rules(self) -> Iterator[tuple[bool, str]]:
        tiers, rate = self.leverage, smallest(self.maintenance)
        margin = rate + self.fee
        yield tiers != tuple(sorted(set(tiers))), f"leverage must rise from tier to tier: {tiers}"
        for mix in (self.weights, self.shorts or self.weights):
            yield len(tiers) != len(mix) or not mix, "give one weight for each leverage"
            yield min(mix) < 0, f"weights must not be negative: {mix}"
            total = math.fsum(mix)
            yield abs(total - 1) > 1e-9, f"weights must sum to 1; they sum to {total:.6g}"
        yield (
            rate < 0 or self.fee < 0 or tiers[0] <= 1 or 1 / tiers[-1] <= margin,
            f"each leverage L needs L > 1 and 1/L > maintenance + fee, here {margin:g}: {tiers}",
        )
        sizes = self.sizes.notional if self.sizes else (1.0,)
        yield not sizes or min(sizes) <= 0, f"sizes of positions must be positive: {sizes}"
        for name in ("liquidatable", "liquidatable_shorts", "churn"):
            share = getattr(self, name)
            wrong = share is not None and not 0 <= share <= 1
            yield wrong, f"{name} is a fraction from 0 to 1; got {share}"
        yield not math.isfinite(self.taker), f"taker must be finite; got {self.taker}"
        yield not 0 <= self.memory < math.inf, f"memory is hours from 0; got {self.memory}"
        yield not 0 <= self.attrition < math.inf, f"attrition is from 0; got {self.attrition}"
        yield self.settlement not in {"linear", "inverse"}, "settlement is linear or inverse"
        yield not 1e-5 <= self.step <= 0.1, f"step is from 0.00001 to 0.1; got {self.step}"
        ends = (0.0, *self.ages)
        yield ends != tuple(sorted(set(ends))), f"ages must rise from above zero: {self.ages}"
        yield (
            len(self.closing) != len(self.ages) + 1 or min(self.closing) <= 0,
            "closing needs one positive weight for each age and one for the oldest class",
        )
        if self.lasting is not None:
            shape, given = (2, len(tiers), len(self.closing)), np.shape(self.lasting)
            yield given != shape, f"lasting needs the shape {shape}; got {given}"
            known = all(0 < ratio < math.inf for ratio in np.ravel(self.lasting))
            yield not known, "lasting must be positive and finite"


class Inventory:
    """Positions by side, tier, age and liquidation price, moved bar by bar.

    Any split of the same bars into calls of `update` gives the same numbers to the bit, and what
    stands in a bucket does not depend on the window that holds it.

    Parameters
    ----------
    parameters : Parameters
    interval : timedelta
        The length of a bar.
    grid : Grid
        The window kept, of span one. It must hold every price; positions liquidated outside it
        are kept by age only.

    Examples
    --------
    >>> from datetime import timedelta
    >>> import polars as pl
    >>> day = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": None,
    ...        "taker_buy": None}
    >>> bars = pl.DataFrame([day | {"open_interest": 1_000.0}, day | {"open_interest": 1_400.0}])
    >>> inventory = Inventory(Parameters(), interval=timedelta(hours=1),
    ...                       grid=Grid.covering(40, 200, 0.001))
    >>> moves = inventory.update(bars)
    >>> inventory.placed.round(6), inventory.unplaced.round(6)
    (array([200., 200.]), array([500., 500.]))
    """

    def __init__(self, parameters: Parameters, *, interval: timedelta, grid: Grid) -> None:
        if interval.total_seconds() <= 0:
            raise ValueError(f"a bar needs a positive length; got {interval}")
        if grid.span != 1 or grid.step != parameters.step:
            raise ValueError(f"the grid needs span 1 and the step {parameters.step}; got {grid}")
        self.parameters = parameters
        self.grid = grid
        self.brackets = 0
        self._interval = interval
        self._laws = laws(parameters, interval, grid)
        tiers, ages = len(parameters.weights), len(parameters.closing)
        self._state = State(
            cells=np.zeros((2, tiers, ages, grid.rows)),
            sums=np.zeros((2, ages, grid.rows)),
            known=np.zeros((2, ages)),
            held=np.zeros((2, tiers, ages)),
            decay=np.stack([np.eye(ages)] * 2),
            unplaced=np.zeros(2),
            frontier=np.array([-_FAR, _FAR]),
            open_interest=np.array([np.nan]),
            pending=np.array([np.nan, np.nan, np.nan, np.nan, 0.0, 0.0]),
            waiting=np.array([1]),
            crossed=np.zeros(2),
        )

    def update(
        self,
        bars: pl.DataFrame,
        *,
        shown: NDArray[np.bool_] | None = None,
        view: Grid | None = None,
    ) -> Record:
        """Move through the bars that follow.

        Parameters
        ----------
        bars : DataFrame
            `open`, `high`, `low`, `close` (quote per base), `volume`, `taker_buy` and
            `open_interest` at the bar's end (base units); null where unknown. No bar is left out:
            one nobody knows anything of is a row of nulls. Where `mark_low` and `mark_high` are
            there too, positions are crossed on these, as exchanges do. Where the brackets of the
            parameters change, the `time` of a bar's open tells those in force, for open positions
            as well.
        shown : ndarray of bool, shape (bars,)
            At which bars' open to write a column; by default at all.
        view : Grid
            The rows of a column; by default the whole window.

        Returns
        -------
        Record
            Sides are in the order long, short.

        Raises
        ------
        ValueError
            If a bar cannot be, or leaves the window; nothing has moved then.
        """
        brackets = in_force(bars, self.parameters.maintenance)
        return self.advance(
            matrix(bars), crossing=marks(bars), brackets=brackets, shown=shown, view=view
        )

    def advance(
        self,
        bars: Floats,
        *,
        crossing: Floats | None = None,
        brackets: Ints | None = None,
        shown: NDArray[np.bool_] | None = None,
        view: Grid | None = None,
        by_tier: bool = False,
        touched: bool = False,
    ) -> Record:
        """Do as `update`, from the arrays that `matrix`, `marks` and `in_force` make of the bars.

        Columns are written by tier as well, and what stood in the cells that the price touched, if
        asked for.
        """
        self._check_window(bars)
        view = view or self.grid
        shown = np.ones(len(bars), dtype=np.bool_) if shown is None else shown
        columns, tiers = np.count_nonzero(shown), len(self.parameters.weights)
        per_bar = (len(bars), 2)
        reach = bars[:, [LOW, HIGH]]
        if crossing is not None:
            reach = np.where(np.isnan(crossing), reach, crossing)
            self._check_window(np.hstack([reach, reach]))
        cells = touched_cells(bars if touched else bars[:0], reach, self.grid.step)
        record = Record(
            columns=np.empty((columns, 2, view.rows)),
            coverage=np.empty((columns, 2)),
            open_interest=np.empty(columns),
            crossed=np.zeros((*per_bar, tiers)),
            opened=np.full(per_bar, np.nan),
            closed=np.full(per_bar, np.nan),
            placed=np.empty(per_bar),
            unplaced=np.empty(per_bar),
            inconsistent=np.zeros(len(bars), dtype=np.bool_),
            tiers=np.empty((columns if by_tier else 0, 2, tiers, view.rows), dtype=np.float32),
            cells=cells,
            touched=np.zeros((len(cells), tiers)),
        )
        for start, stop, which in stretches(brackets, len(bars), self.brackets):
            self.require(which)
            run, all_of_it = slice(start, stop), stop - start == len(bars)
            written = record if all_of_it else part(record, shown, start, stop)
            advance(bars[run], reach[run], shown[run], view.view, self._laws, self._state, written)
        return record

    def require(self, brackets: int) -> None:
        """Change the maintenance from now on, of open positions as well.

        Parameters
        ----------
        brackets : int
            Which of the parameters' are in force.
        """
        if brackets == self.brackets:
            return
        fresh = laws(self.parameters, self._interval, self.grid, brackets)
        move(self._state, self._laws, fresh)
        self._laws, self.brackets = fresh, brackets

    def column(self, price: float, view: Grid | None = None) -> Floats:
        """Return what stands now, at a price.

        Parameters
        ----------
        price : float, quote per base
            The row it stands in is left out.
        view : Grid
            The rows; by default the whole window.

        Returns
        -------
        ndarray, shape (2, rows), base units
            Longs, shorts; NaN where the last bar was not fully known.
        """
        view = view or self.grid
        column = np.empty((2, view.rows))
        complete = bool(self._state.waiting[0] == 0)
        show(float(price), complete, view.view, self._laws, self._state, column)
        return column

    @property
    def by_age(self) -> Floats:
        """What stands with a known entry; shape (2, ages), longs first, base units."""
        mass = np.einsum("sab,sb->sa", self._state.decay, self._state.known)
        by_age: Floats = np.maximum(0.0, mass)
        return by_age

    @property
    def placed(self) -> Floats:
        """What stands with a known entry, on the window or beyond; (long, short), base units."""
        placed: Floats = self.by_age.sum(axis=1)
        return placed

    @property
    def beyond(self) -> Floats:
        """What part of `placed` would be liquidated outside the window; (long, short)."""
        inside = np.einsum("sab,sbr->s", self._state.decay, self._state.sums)
        beyond: Floats = np.maximum(0.0, self.placed - inside)
        return beyond

    @property
    def coverage(self) -> float:
        """How much of what can be liquidated has a known entry; NaN where there is nothing."""
        total = np.array(self.parameters.reachable) * self._state.open_interest[0]
        known = np.minimum(total, self.placed).sum()
        return float(known / total.sum()) if total.any() else math.nan

    @property
    def unplaced(self) -> Floats:
        """What stands with an unknown entry; (long, short), base units."""
        return self._state.unplaced.copy()

    def standing(self, price: float) -> Floats:
        """Return what stands on the window when the price is there; as `cells`, base units."""
        rows = np.arange(self.grid.rows) + self.grid.first
        away = np.abs(rows - math.floor(math.log(price) / self.grid.step))
        found, part = self.cells, self._laws.left
        found *= np.stack([lasting(side, self._laws, self._state) for side in range(2)])[..., None]
        near = away < part.shape[2]
        found[..., near] *= part[:, :, None, away[near]]
        return found

    @property
    def cells(self) -> Floats:
        """What stands on the window if all stay; shape (2, tiers, ages, rows), longs first."""
        mass = np.einsum("sab,skbr->skar", self._state.decay, self._state.cells)
        cells: Floats = np.maximum(0.0, mass)
        return cells

    def _check_window(self, bars: Floats) -> None:
        if np.isnan(bars[:, :4]).all():
            return
        grid, low, high = self.grid, np.nanmin(bars[:, :4]), np.nanmax(bars[:, :4])
        needed = Grid.covering(float(low), float(high), grid.step)
        if needed.first < grid.first or needed.first + needed.rows > grid.first + grid.rows:
            floor, ceiling = grid.edges[[0, -1]]
            raise ValueError(
                f"prices from {low:g} to {high:g} leave the window from {floor:g} to "
                f"{ceiling:g}; start the inventory with a wider one"
            )
