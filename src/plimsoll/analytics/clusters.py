"""Where predicted liquidations stand close together."""

from __future__ import annotations

import polars as pl

__all__ = ["clusters"]


def clusters(
    profile: pl.DataFrame,
    price: float,
    *,
    reach: float = 0.10,
    width: float = 0.005,
    least: float = 0.5,
) -> pl.DataFrame:
    """Return the nearest large cluster on either side of a price.

    The way from the price outwards is cut into bands of equal width in log price. A band is large
    if it holds at least the share `least` of what the largest band of its side within reach does;
    the nearest large one is the cluster.

    Parameters
    ----------
    profile : DataFrame
        `price_low`, `price_high` (quote per base), `long_usd`, `short_usd` (US dollars), as
        `HeatMap.profile` returns it; rows of several maps may stand together.
    price : float, quote per base
    reach, width : float, log price
        How far to look, and how wide a band is.
    least : float, fraction

    Returns
    -------
    DataFrame
        `side`, `distance` (log price, to the band's near edge), `price` (mean of the band, weighted
        by dollars) and `value_usd`: one row for each side that holds anything within reach.

    Raises
    ------
    ValueError
        If price, reach or width are not positive, or `least` is no fraction.

    Examples
    --------
    >>> profile = pl.DataFrame({"price_low": [95.0, 98.0], "price_high": [96.0, 99.0],
    ...                         "long_usd": [10.0, 6.0], "short_usd": [0.0, 0.0]})
    >>> clusters(profile, 100.0).select("side", "price", "value_usd").row(0)
    ('long', 98.5, 6.0)
    """
    if not (price > 0 and reach > 0 and width > 0 and 0 < least <= 1):
        raise ValueError(
            f"clusters need a positive price, reach and width, and a share of at most one; "
            f"got {price}, {reach}, {width} and {least}"
        )
    middle = (pl.col("price_low") + pl.col("price_high")) / 2
    found = []
    for side, sign in (("long", -1), ("short", 1)):
        away = sign * (middle / price).log()
        bands = (
            profile.select(
                away.alias("away"), middle.alias("price"), pl.col(f"{side}_usd").alias("value_usd")
            )
            .filter(pl.col("away").is_between(0, reach), pl.col("value_usd") > 0)
            .group_by((pl.col("away") / width).floor().alias("band"))
            .agg(
                price=(pl.col("price") * pl.col("value_usd")).sum() / pl.col("value_usd").sum(),
                value_usd=pl.col("value_usd").sum(),
            )
            .filter(pl.col("value_usd") >= least * pl.col("value_usd").max())
            .sort("band")
            .head(1)
        )
        found.append(
            bands.select(
                pl.lit(side).alias("side"),
                (pl.col("band") * width).alias("distance"),
                "price",
                "value_usd",
            )
        )
    return pl.concat(found)
