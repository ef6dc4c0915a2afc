"""What can be asked: each question is one method of a session, declared in one line."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plimsoll.analytics.concentration import By
from plimsoll.market.schema import TABLES
from plimsoll.measures import carry
from plimsoll.server import answers
from plimsoll.server.told import Told, told
from plimsoll.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plimsoll.server.forms import Answer

__all__ = ["QUESTIONS", "ROWS", "Asked", "Question"]

_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": str | None,
    "Exchanges": list[str],
    "Leverages": list[str],
    "When": str | None,
    "float": float,
    "float | None": float | None,
    "int": int,
    "int | None": int | None,
    "bool": bool,
    "By": By,
    "carry.Weight": carry.Weight,
}
"""Annotations of a session's methods, as a query has them. Others cannot be asked over HTTP."""
CELLS = 10_000
"""Columns of a map that may be asked for."""
STEPS = 200_000
"""Steps of time that may be asked for otherwise."""


@dataclass(frozen=True)
class Asked:
    """One parameter of a question.

    Attributes
    ----------
    name : str
    hint : type
    default : object
        `inspect.Parameter.empty` where it must be given.
    words : str
        What it means, with its unit.
    """

    name: str
    hint: Any
    default: Any
    words: str


@dataclass(frozen=True)
class Question:
    """A method of a session, as it is asked over HTTP.

    Attributes
    ----------
    path : str
        Below ``/api/v1``.
    method : str
        Of `Session`.
    answer : callable
        Makes an `Answer` of what the method returns.
    most : int
        Steps of time that may be asked for.
    fixed : mapping
        Arguments that the path decides.
    """

    path: str
    method: str
    answer: Callable[[Any], Answer] = answers.of_frame
    most: int = STEPS
    fixed: Mapping[str, Any] | None = None

    @property
    def told(self) -> Told:
        """What the method's docstring says."""
        return told(getattr(Session, self.method))

    @property
    def parameters(self) -> list[Asked]:
        """The method's parameters but those that only Python can give."""
        words = self.told.parameters
        found = []
        for name, one in inspect.signature(getattr(Session, self.method)).parameters.items():
            hint = _TYPES.get(one.annotation)
            if name == "self" or name in (self.fixed or {}):
                continue
            if hint is None and one.default is inspect.Parameter.empty:
                raise TypeError(f"{self.method}: {name} cannot be asked over HTTP")
            if hint is not None:
                found.append(Asked(name, hint, one.default, _words(name, words)))
        return found

    def ask(self, session: Session, arguments: Mapping[str, Any]) -> Answer:
        """Return the answer; `arguments` are those of the method."""
        asked = {**arguments, **(self.fixed or {})}
        return self.answer(getattr(session, self.method)(**asked))


_EVERYWHERE = {
    "exchange": "Only this exchange; repeat it for several. All that are stored if left out.",
    "since": "From this time on, `since ≤ time`: an ISO date or time in UTC (`2026-01-15`, "
    "`2026-01-15T08:00Z`), or a span before now (`30m`, `8h`, `7d`).",
    "until": "Before this time, `time < until`; written as `since`.",
    "as_of": "Use only what was known by then, in the version known by then; written as `since`.",
    "at": "The last column before this time; written as `since`.",
}
"""What means the same in every question."""


def _words(name: str, words: Mapping[str, str]) -> str:
    return _EVERYWHERE.get(name) or words.get(name, "")


QUESTIONS = (
    Question("/status", "status"),
    Question("/overview", "market", answers.of_market),
    Question("/show", "show", answers.of_parts),
    Question("/open-interest", "open_interest"),
    Question("/open-interest/divided", "divided_interest", answers.of_division),
    Question("/open-interest/candles", "interest_candles"),
    Question("/open-interest/growth", "interest_growth"),
    Question("/open-interest/milestones", "interest_milestones"),
    Question("/turnover", "turnover"),
    Question("/consensus", "consensus", answers.of_consensus),
    Question("/quadrant", "quadrant"),
    Question("/position-coverage", "position_coverage"),
    Question("/long-short", "long_short"),
    Question("/positioning", "positioning"),
    Question("/flow", "flow"),
    Question("/liquidations", "liquidations"),
    Question("/bursts", "bursts"),
    Question("/macro", "macro", answers.of_parts),
    Question("/funding", "funding"),
    Question("/weighted-funding", "weighted_funding"),
    Question("/funding-persistence", "funding_persistence"),
    Question("/funding-dispersion", "funding_dispersion"),
    Question("/basis", "basis"),
    Question("/fair-value", "fair_value"),
    Question("/carry", "carry"),
    Question("/arbitrage", "arbitrage"),
    Question("/options", "options", answers.of_options),
    Question("/option-history", "option_history"),
    Question("/heatmap", "heatmap", answers.of_map, CELLS),
    Question("/heatmap/profile", "heatmap", answers.of_profile, CELLS),
    Question("/heatmap/coinglass", "heatmap", answers.of_coinglass, CELLS),
    Question("/clusters", "clusters"),
    Question("/entries", "entries"),
    Question("/provenance", "provenance"),
    Question("/leverage", "leverage", answers.of_fits, CELLS),
    Question("/measured", "measured", answers.of_measured),
    Question("/score", "last_score", answers.of_score),
)
"""What can be asked of the measures."""
ROWS = tuple(Question(f"/rows/{kind}", "read", fixed={"kind": kind}) for kind in TABLES)
"""The rows of each table, page by page."""
