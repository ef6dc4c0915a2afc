"""What docstrings tell of a session's methods."""

from __future__ import annotations

import pytest

from plimsoll.server.questions import QUESTIONS, ROWS
from plimsoll.server.told import told
from plimsoll.session import Session


def test_units_and_words_of_a_parameter_are_told() -> None:
    words = told(Session.provenance)
    assert words.summary == "Return what makes up a range of prices of the map's last column"
    assert words.parameters["low"] == "Liquidation prices. Unit: quote per base."
    assert words.parameters["low"] == words.parameters["high"]
    assert "A row for each market" in words.description
    assert "`analytics.provenance" in words.description


@pytest.mark.parametrize("question", [*QUESTIONS, *ROWS], ids=lambda one: one.path)
def test_every_parameter_of_every_question_is_described(question) -> None:
    assert question.told.summary
    assert [one.name for one in question.parameters if not one.words] == []


def test_a_parameter_that_http_cannot_carry_is_left_out() -> None:
    (heatmap,) = (one for one in QUESTIONS if one.path == "/heatmap")
    assert "parameters" not in {one.name for one in heatmap.parameters}
