"""What was closed by force, where the simulation knows: bounds that hold, bursts that were real."""

from datetime import datetime, timedelta

import polars as pl
import pytest

import plimsoll
from plimsoll.simulation.truth import Truth
from plimsoll.validation.forced import bounded

DAYS = 7
FIVE = timedelta(minutes=5)


@pytest.fixture(
    scope="module", params=[("crash", 1), ("crash", 5), ("squeeze", 2)], ids="{0[0]}-{0[1]}".format
)
def market(request, tmp_path_factory):
    scenario, seed = request.param
    session = plimsoll.open(tmp_path_factory.mktemp(scenario) / "store")
    session.simulate(scenario, coins=("BTC",), seed=seed, days=DAYS)
    return session


def test_the_truth_lies_within_the_bounds_of_a_throttled_feed(market):
    found = bounded(market.path, "BTC", "sim-a", FIVE)
    assert found["steps"].min() > 5
    assert found["above"].to_list() == [1, 1]
    assert found["below"].to_list() == [1, 1]
    whole = found.sum()
    # The feed did hide a part, and the bound is no mere volume of the week.
    assert whole["told_usd"].item() < 0.9 * whole["true_usd"].item()
    assert whole["most_usd"].item() < 20 * whole["true_usd"].item()


def test_a_complete_feed_tells_all(market):
    """Dollars of linear contracts at the price they were filled at, to the rounding of a tick."""
    found = bounded(market.path, "BTC", "sim-c", FIVE)
    told, true, most = (found[f"{what}_usd"].to_list() for what in ("told", "true", "most"))
    assert told == pytest.approx(true, rel=1e-4)
    assert most == told


def shock(truth):
    """When the scenario's shock comes, at 20:50 of its day, and until when its effect may last."""
    note = truth.note
    what = note["parameters"]["scenario"]["shock"]
    day = datetime.fromisoformat(note["start"]) + timedelta(days=int(what["at"] * note["days"]))
    start = day + timedelta(hours=20, minutes=50)
    return start, start + timedelta(minutes=what["minutes"] + 60)


def busiest(truth):
    """The ten minutes in which most dollars were really closed by force, over all exchanges."""
    lots = truth.read("BTC", "positions").group_by("exchange", "symbol").agg(pl.col("lot").first())
    price = pl.when(pl.col("symbol") == "BTC/USD:BTC").then(1.0).otherwise(pl.col("filled"))
    rows = truth.read("BTC", "liquidations").join(lots, on=("exchange", "symbol")).sort("time")
    usd = (pl.col("lots") * pl.col("lot") * price).sum()
    end = rows.rolling("time", period="10m").agg(usd=usd).sort("usd")["time"][-1]
    return end - timedelta(minutes=10), end


def test_the_true_cascade_is_a_burst_and_the_largest_is_in_the_shock(market):
    truth = Truth(market.path)
    first, last = busiest(truth)
    since, until = shock(truth)
    assert since <= last <= until  # the truth itself is in the shock
    bursts = market.bursts("BTC")
    holds = (pl.col("start") <= last) & (pl.col("until") >= first)
    assert bursts.filter(holds).height >= 1
    dollars = pl.col("long_usd") + pl.col("short_usd")
    largest = bursts.sort(dollars).row(-1, named=True)
    assert since - FIVE <= largest["known_at"] <= until
    assert largest["multiple"] > 100
    assert largest["completeness"] == "throttled"


def test_answers_as_of_a_moment_know_no_more(market):
    now = shock(Truth(market.path))[0] + timedelta(minutes=20)
    whole = market.bursts("BTC")
    known = market.bursts("BTC", as_of=now)
    begun = whole.filter(pl.col("known_at") <= now)
    assert known["known_at"].to_list() == begun["known_at"].to_list()
    told = market.liquidations("BTC", as_of=now, every="5m")
    then = market.liquidations("BTC", every="5m").filter(pl.col("known_at") <= now)
    both = told.join(then, on=("time", "exchange", "symbol"), suffix="_later")
    assert both.height > 100
    assert both["long_usd"].equals(both["long_usd_later"])
