"""What docstrings tell of a session's methods."""

from __future__ import annotations

import inspect

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


PYTHON_ALONE = {"parameters", "rule"}
"""What is no word and no number."""


@pytest.mark.parametrize("question", [*QUESTIONS, *ROWS], ids=lambda one: one.path)
def test_every_parameter_but_those_for_python_alone_can_be_given(question) -> None:
    takes = set(inspect.signature(getattr(Session, question.method)).parameters) - {"self"}
    given = {one.name for one in question.parameters} | set(question.fixed or {})
    assert takes - given <= PYTHON_ALONE


NOT_ASKED = {"audit", "import_files", "sql"}
"""What changes a store, or costs more than a server may spend on one client."""
NOT_ASKED |= {"backfill", "doctor", "live", "record", "record_exchanges", "replay", "simulate"}
NOT_ASKED |= {"path", "score"}
NOT_ASKED |= {"overview"}  # `market` answers with it


def test_whatever_a_session_answers_can_be_asked() -> None:
    public = {name for name in dir(Session) if not name.startswith("_")}
    asked = {question.method for question in (*QUESTIONS, *ROWS)}
    assert public - asked - NOT_ASKED == set()
    assert asked <= public
