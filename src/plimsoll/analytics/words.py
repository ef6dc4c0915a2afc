"""What must be said of the assumptions behind a map, wherever it or a part of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.analytics.distances import Distances
    from plimsoll.analytics.fitting import Fitted

__all__ = ["leverage_mix"]


def leverage_mix(fit: Fitted | None, distances: Distances | None, fits: int = 0) -> str:
    """Return where a leverage mix is from, in words.

    Parameters
    ----------
    fit : Fitted or None
        What it was fitted to; None of several markets.
    distances : Distances or None
        The measured distances it is from.
    fits : int
        Of several markets, how many are fitted.
    """
    if fit is not None:
        known = "" if fit.identified.any() else ", which tell nothing: it is the prior"
        told = f"leverage mix fitted to {fit.orders} orders liquidated{known}"
        if fit.clamped:
            told += ", which ask for more than all open interest: held to all of it"
        return told
    if distances is not None:
        return distances.said
    if fits:
        return f"leverage mix of {fits} markets fitted to their liquidations"
    return "leverage mix is a prior, not fitted"
