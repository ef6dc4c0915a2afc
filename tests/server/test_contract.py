"""What OpenAPI promises, and what is answered to anything that may be asked."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import positive_data_acceptance

from plimsoll.server.app import create_app
from plimsoll.server.questions import QUESTIONS, ROWS
from plimsoll.server.running import Running
from plimsoll.server.service import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.session import Session

EXAMPLES = 6
"""Of each path; the whole stays within a minute."""
HEAVY = ("/leverage",)
"""Fits, which take seconds each."""
ASKED = [one.path for one in (*QUESTIONS, *ROWS) if one.path not in HEAVY]
REAL = {
    "symbol": st.sampled_from(["SOL", "SOL/USDT:USDT", "SOL/USD:SOL"]),
    "since": st.sampled_from(["2025-01-10", "9999d"]),
    "until": st.sampled_from(["2025-01-11", "2025-01-12T07:00+05:30"]),
    "as_of": st.sampled_from(["2025-01-12", "1s"]),
    "every": st.sampled_from(["1h", "3d"]),
    "interval": st.sampled_from(["1h", "3d"]),
    "exchange": st.sampled_from(["sim-a", ["sim-b", "sim-c"]]),
}
"""What is stored; no schema says how symbols and times are written, and much else is refused."""
PATHS = [f"/api/v1{path}" for path in ("/about", "/exchanges", *ASKED)]


@pytest.fixture(scope="module")
def described(simulated: Session) -> Iterator[Any]:
    """What a server says of itself, which can be asked."""
    running = Running(simulated, limits=Limits(rate=1e6, burst=1_000_000))
    thread = Thread(target=lambda: asyncio.run(running.serve()))
    thread.start()
    yield schemathesis.openapi.from_url(f"{running.url}api/v1/openapi.json")
    running.stop()
    thread.join()


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_asked_the_answer_is_one_that_was_described(described, path: str) -> None:
    @settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate])
    @given(described[path]["GET"].as_strategy(), st.fixed_dictionaries({}, optional=REAL))
    def answered(case, real: dict[str, str]) -> None:
        case.query.update({name: real[name] for name in real if name in case.query})
        answer = case.call(timeout=60)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])

    answered()


def test_openapi_describes_every_question_with_its_units(simulated) -> None:
    document = create_app(simulated).openapi()
    assert document["openapi"].startswith("3.1")
    paths = {f"/api/v1{question.path}" for question in (*QUESTIONS, *ROWS)}
    assert paths <= set(document["paths"])
    for path in paths:
        operation = document["paths"][path]["get"]
        assert operation["summary"]
        assert all(one["description"] for one in operation.get("parameters", []))
        assert {"200", "304", "404", "422", "429"} <= set(operation["responses"])
    rows = document["paths"]["/api/v1/rows/liquidation"]["get"]["responses"]["200"]["content"]
    columns = rows["application/json"]["schema"]["properties"]["columns"]["properties"]
    assert "US dollars" in columns["value_usd"]["description"]
    assert columns["side"]["items"]["enum"] == ["long", "short"]
    provenance = document["paths"]["/api/v1/provenance"]["get"]["parameters"]
    units = {one["name"]: one["description"] for one in provenance}
    assert "quote per base" in units["low"]
