"""Until when each kind of each symbol was recorded, whatever happens to the recorder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from plimsoll.feed.health import Health
from plimsoll.feed.heard import UNDERWAY, Heard

if TYPE_CHECKING:
    from pathlib import Path

BTC = "BTC/USDT:USDT"
NOON = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


def live(kind: str, heard: int) -> Health:
    return Health(kind, (kind,), (BTC,), state="live", heard=heard + UNDERWAY)


def noted(heard: Heard, *streams: Health) -> None:
    if heard.note(streams):
        heard.write()


def written(place: Path) -> dict[str, dict[str, int]]:
    return json.loads(place.read_text()) if place.exists() else {}


def test_what_was_never_recorded_is_noted_at_once_and_later_when_it_is_safe(
    tmp_path: Path,
) -> None:
    place = tmp_path / "x.json"
    heard = Heard(place)
    noted(heard, live("trade", NOON))
    assert written(place) == {"trade": {BTC: NOON}}
    heard.sets_out()
    noted(heard, live("trade", NOON + SECOND))
    noted(heard, live("trade", NOON + 2 * SECOND))
    assert written(place) == {"trade": {BTC: NOON}}  # one is on its way
    heard.passes()
    noted(heard, live("trade", NOON + 3 * SECOND))
    assert written(place) == {"trade": {BTC: NOON}}
    heard.arrived(1)
    noted(heard, live("trade", NOON + 4 * SECOND))
    assert written(place) == {"trade": {BTC: NOON + SECOND}}


def test_two_recorders_of_one_exchange_leave_each_other_what_they_wrote(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    noted(Heard(place), live("trade", NOON))
    one, two = Heard(place), Heard(place)
    for second in range(1, 5):
        noted(one, live("trade", NOON + second * SECOND))
        noted(two, live("liquidation", NOON + second * SECOND))
    noted(two, live("liquidation", NOON + 9 * SECOND))
    assert written(place)["trade"] == {BTC: NOON + 3 * SECOND}
    assert written(place)["liquidation"] == {BTC: NOON + 4 * SECOND}


def test_a_clock_that_was_ahead_hides_no_later_loss(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    noted(Heard(place), live("trade", NOON + 3_600 * SECOND))
    again = Heard(place)
    for second in range(3):
        noted(again, live("trade", NOON + second * SECOND))
    assert written(place) == {"trade": {BTC: NOON + SECOND}}


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    noted(Heard(place), live("trade", NOON))
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
