"""The API as a client meets it: numbers, forms, refusals."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import polars as pl
import pytest

import plimsoll
from fakes.client import read_columns
from plimsoll.progress import staged
from plimsoll.server import page as pages
from plimsoll.server.app import create_app
from plimsoll.server.forms import ARROW, COLUMNS
from plimsoll.server.service import Limits, Settings
from plimsoll.session import offers
from plimsoll.totals import together

if TYPE_CHECKING:
    from pathlib import Path

API = "/api/v1"
MAP = {"symbol": "SOL/USDT:USDT", "since": "2025-01-10", "rows": 60}


class Caller:
    """Asks an application without a network, each question in a loop of its own."""

    def __init__(self, app: Any, client: str = "127.0.0.1") -> None:
        self._app, self._client = app, client

    def __call__(self, path: str, method: str = "GET", **rest: Any) -> httpx.Response:
        return self.all([path], method, **rest)[0]

    def all(self, paths: list[str], method: str = "GET", **rest: Any) -> list[httpx.Response]:
        """Ask several at once."""

        async def work() -> list[httpx.Response]:
            transport = httpx.ASGITransport(
                self._app, raise_app_exceptions=False, client=(self._client, 1)
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
                return await asyncio.gather(*(one.request(method, path, **rest) for path in paths))

        return asyncio.run(work())


@pytest.fixture(scope="module")
def ask(simulated) -> Caller:
    return Caller(create_app(simulated, Settings(hosts=("localhost",), limits=MANY)))


MANY = Limits(rate=10_000, burst=100_000)


def test_tiers_are_chosen_over_http_as_in_python(ask, simulated) -> None:
    some = {**MAP, "leverage": ["20", "50-100"]}
    answer = ask(f"{API}/heatmap", params=some).json()
    expected = simulated.heatmap(**some)
    assert answer["columns"]["long_usd"][-1] == expected.long_usd[-1].tolist()
    assert answer["facts"]["leverage_shown"] == [20, 50]  # its brackets forbid more
    clusters = ask(f"{API}/clusters", params={"symbol": "SOL", "leverage": "50"}).json()["columns"]
    assert {one["leverage"] for row in clusters["leverages"] for one in row} == {50}
    refused = ask(f"{API}/heatmap", params={**MAP, "leverage": "7"})
    assert refused.status_code == 422
    assert "it has 2, 3, 5" in refused.json()["detail"]


def test_a_map_is_that_of_the_session_at_random_cells(ask, simulated) -> None:
    expected = simulated.heatmap(**MAP)
    answer = ask(f"{API}/heatmap", params=MAP).json()
    columns, chance = answer["columns"], random.Random(7)
    assert answer["facts"]["said"] == expected.said
    assert columns["edges"] == expected.edges.tolist()
    assert len(columns["time"]) == len(expected) > 100
    held = np.argwhere(expected.long_usd > 0)
    for column, row in [held[chance.randrange(len(held))] for _ in range(200)]:
        assert columns["long_usd"][column][row] == expected.long_usd[column, row]
        assert columns["short_usd"][column][row] == expected.short_usd[column, row]
    _, binary = read_columns(ask(f"{API}/heatmap", params=MAP, headers={"Accept": COLUMNS}).content)
    np.testing.assert_array_equal(binary["long_usd"], expected.long_usd.astype(np.float32))
    np.testing.assert_array_equal(binary["close"], expected.close)
    profile = expected.profile()
    np.testing.assert_array_equal(
        binary["short_cumulative_usd"], profile["short_cumulative_usd"].to_numpy()
    )


@pytest.mark.parametrize(
    ("path", "method", "arguments"),
    [
        ("status", "status", {}),
        ("overview", "overview", {}),
        ("open-interest", "open_interest", {"symbol": "SOL", "every": "4h"}),
        ("open-interest", "open_interest", {"symbol": "SOL", "as_of": "2025-01-02T05:00Z"}),
        ("funding", "funding", {"symbol": "SOL", "exchange": ["sim-a", "sim-c"]}),
        ("weighted-funding", "weighted_funding", {"symbol": "SOL", "since": "2025-01-02"}),
        ("clusters", "clusters", {"symbol": "SOL/USDT:USDT", "reach": 0.2}),
        ("positioning", "positioning", {"symbol": "SOL"}),
        ("liquidations", "liquidations", {"symbol": "SOL", "by": "exchange", "every": "1d"}),
        ("arbitrage", "arbitrage", {"coin": "SOL"}),
    ],
)
def test_frames_are_those_of_the_session(ask, simulated, path, method, arguments) -> None:
    expected = getattr(simulated, method)(**arguments)
    assert expected.height
    answer = ask(f"{API}/{path}", params=arguments)
    assert answer.status_code == 200
    columns = answer.json()["columns"]
    assert list(columns) == expected.columns
    for name in expected.columns:
        if expected[name].dtype.is_numeric():
            assert columns[name] == expected[name].fill_nan(None).to_list()
    arrow = ask(f"{API}/{path}", params=arguments, headers={"Accept": ARROW}).content
    assert pl.read_ipc_stream(arrow).equals(expected)


def test_the_whole_market_is_what_its_coins_add_up_to(ask, simulated) -> None:
    coins, whole = simulated.overview(), simulated.market().whole.row(0, named=True)
    told = ask(f"{API}/overview").json()["facts"]["whole"]
    for name, value in whole.items():
        assert name in {"time", "oldest"} or told[name] == value, name
    assert whole["open_interest_usd"] == pytest.approx(coins["open_interest_usd"].sum())
    day = {"since": coins["time"].max() - timedelta(days=1), "by": "all", "whole": True}
    closed = pl.concat(simulated.liquidations(coin, **day) for coin in coins["coin"])
    assert whole["liquidated_long_usd"] == pytest.approx(closed["long_usd"].sum())
    assert whole["liquidated_short_usd"] == pytest.approx(closed["short_usd"].sum())
    assert 1 <= whole["effective"] <= whole["exchanges"]


def test_sums_over_coins_leave_out_what_is_not_known_of_one() -> None:
    frame = pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1, tzinfo=UTC)] * 3,
            "open_interest_usd": [110.0, 90.0, 50.0],
            "open_interest_change": [0.1, -0.1, None],
            "funding_apr": [0.1, None, 0.4],
            "load": [None, None, None],
            "long_short": [1.0, 2.0, 4.0],
        },
        schema_overrides={"load": pl.Float64},
    )
    whole = together(frame)
    assert whole["open_interest_usd"] == 250
    assert whole["open_interest_change"] == pytest.approx(0.0)  # 200 now, 100 + 100 before
    assert whole["funding_apr"] == pytest.approx((0.1 * 110 + 0.4 * 50) / 160)
    assert whole["load"] is None
    assert whole["long_short"] == 2


def test_other_answers_are_those_of_the_session(ask, simulated) -> None:
    market = {"symbol": "SOL/USDT:USDT"}
    shown = ask(f"{API}/show", params=market).json()["facts"]
    load = simulated.show(**market)["load"]
    assert shown["load"]["value_usd"] == load["value_usd"].to_list()
    glass = ask(f"{API}/heatmap/coinglass", params=MAP).json()["facts"]["data"]
    assert glass == json.loads(json.dumps(simulated.heatmap(**MAP).to_coinglass()))
    profile = ask(f"{API}/heatmap/profile", params=MAP).json()["columns"]
    assert profile == simulated.heatmap(**MAP).profile().to_dict(as_series=False)
    where = {**market, "low": 100.0, "high": 150.0}
    found = ask(f"{API}/provenance", params=where).json()["columns"]
    expected = simulated.provenance(**where)
    assert found["value_usd"] == expected["value_usd"].to_list()
    told = ask(f"{API}/exchanges").json()["facts"]["offers"]
    assert len(told) == len(offers())


def test_a_fitted_cluster_is_what_its_range_is_made_of(ask) -> None:
    market = {"symbol": "SOL/USDT:USDT", "exchange": "sim-a", "fitted": True}
    found = ask(f"{API}/clusters", params=market, timeout=300).json()["columns"]
    assert found["value_usd_p10"][0] is not None  # it is fitted
    where = {"low": found["price_low"][0], "high": found["price_high"][0]}
    parts = ask(f"{API}/provenance", params={**market, **where}, timeout=300).json()["columns"]
    assert sum(parts["value_usd"]) == pytest.approx(found["value_usd"][0])


def test_a_fitted_map_says_what_each_cell_holds_at_least_and_most(ask) -> None:
    asked = {"symbol": "SOL/USDT:USDT", "exchange": "sim-a", "interval": "1h", "fitted": True}
    answer = ask(f"{API}/heatmap", params=asked, headers={"Accept": COLUMNS}, timeout=300)
    facts, columns = read_columns(answer.content)
    assert facts["said"].startswith("an estimate: leverage mix fitted to")
    low, middle, high = (columns[f"long_usd_p{level}"] for level in (10, 50, 90))
    assert low.shape == columns["long_usd"].shape
    known = ~np.isnan(columns["coverage"])
    assert (low[known] <= middle[known]).all()
    assert (middle[known] <= high[known]).all()
    assert high[known].max() > 0
    some = ask(f"{API}/heatmap", params={**asked, "leverage": "50"}, headers={"Accept": COLUMNS})
    _, part = read_columns(some.content)
    assert (part["long_usd"][known] <= columns["long_usd"][known] * 1.0001).all()
    assert 0 < part["long_usd_p90"][known].max() <= high[known].max()


def test_a_long_answer_says_how_far_it_is_to_those_who_want_to_know(simulated) -> None:
    asked = {"symbol": "SOL", "interval": "1h", "since": "2025-01-11", "fitted": True}
    app = create_app(simulated, Settings(hosts=("localhost",), limits=MANY))

    async def work() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
            found = []
            while not found or found[-1].status_code == 202:
                headers = {"Prefer": "respond-async, wait=0"}
                found.append(await one.get(f"{API}/heatmap", params=asked, headers=headers))
                await asyncio.sleep(0.02)
        return found

    *underway, last = asyncio.run(work())
    assert last.status_code == 200
    assert last.json()["facts"]["said"].startswith("an estimate: leverage mix of")
    stages = [one.json()["stages"] for one in underway]
    assert [stage["name"] for found in stages for stage in found if stage["name"] == "fitting"]
    within = [found[1]["name"] for found in stages if len(found) > 1]
    assert set(within) <= {"candidates", "draws"}
    assert all(stage["done"] < stage["of"] for found in stages for stage in found)
    assert app.state.service.desk.answered == 1


def test_who_goes_away_has_his_question_given_up(simulated, monkeypatch) -> None:
    app, ended = create_app(simulated, Settings(limits=MANY)), threading.Event()

    def slow(*_args: object, **_rest: object) -> None:
        try:
            for _ in staged("reading", range(1_000)):
                time.sleep(0.02)
        finally:
            ended.set()

    monkeypatch.setattr(type(simulated), "status", slow)

    async def work() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"{API}/status",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
        }
        said = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.1)
            return next(said)

        async def send(_message: object) -> None:
            pass

        await app(scope, receive, send)
        assert await asyncio.to_thread(ended.wait, 5)

    asyncio.run(work())


def test_the_map_says_when_it_is_and_between_which_times_rows_are(ask) -> None:
    about = ask(f"{API}/about").json()
    assert about["first"].startswith("2025-01-01T00:0")
    assert about["last"].startswith("2025-01-1")
    assert (about["simulated"], about["token"]) == (True, False)


def test_an_answer_that_is_held_is_not_sent_again(ask) -> None:
    first = ask(f"{API}/overview", headers={"Accept-Encoding": "gzip"})
    tag = first.headers["etag"]
    assert first.headers["content-encoding"] == "gzip"
    again = ask(f"{API}/overview", headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = ask(f"{API}/overview", headers={"If-None-Match": '"other"', "Accept-Encoding": ""})
    assert other.status_code == 200
    assert "content-encoding" not in other.headers
    brotli = ask(f"{API}/overview", headers={"Accept-Encoding": "br;q=0, gzip"})
    assert brotli.headers["content-encoding"] == "gzip"


REFUSED = [
    ("heatmap", {}, 422, "symbol: Field required"),
    ("heatmap", {"symbol": "SOL/"}, 422, "write BASE/QUOTE"),
    ("heatmap", {"symbol": ""}, 422, "symbol"),
    ("heatmap", {"symbol": "S" * 100}, 422, "symbol"),
    ("heatmap", {"symbol": "SOL\x00"}, 422, "symbol"),
    ("heatmap", {"symbol": "<script>alert(1)</script>"}, 422, "<script>"),
    ("heatmap", {"symbol": "XYZ/USDT:USDT"}, 404, "nothing stored"),
    ("heatmap", {"symbol": "SOL", "rows": -1}, 422, "rows"),
    ("heatmap", {"symbol": "SOL", "rows": 10**30}, 422, "rows"),
    ("heatmap", {"symbol": "SOL", "interval": "1s"}, 413, "ask for a shorter span"),
    ("heatmap", {"symbol": "SOL", "interval": "0m"}, 422, "cannot read the span"),
    ("heatmap", {"symbol": "SOL", "since": "2000-01-01", "until": "2199-01-01"}, 200, ""),
    ("heatmap", {"symbol": "SOL", "since": "yesterday"}, 422, "write an ISO date"),
    ("heatmap", {"symbol": "SOL", "exchange": "../../etc"}, 422, "exchange"),
    ("heatmap", {"symbol": "SOL", "fitted": "true", "measured": "true"}, 422, "either given"),
    (
        "heatmap",
        {"simbol": "SOL", "symbol": "SOL"},
        422,
        "no parameter 'simbol' here; known: symbol",
    ),
    ("heatmap", {"symbol": ["SOL", "BTC"]}, 422, "given more than once"),
    ("open-interest", {"symbol": "SOL", "every": "1s"}, 413, "ask for a shorter span"),
    ("clusters", {"symbol": "SOL", "reach": "nan"}, 422, "reach"),
    ("clusters", {"symbol": "SOL", "reach": "-1"}, 422, "positive"),
    ("clusters", {"symbol": "SOL", "width": "1e15"}, 422, "width at most 1"),
    ("entries", {"symbol": "SOL", "width": "1e-15"}, 422, "from 0.0001 to 1"),
    ("open-interest/candles", {"symbol": "SOL", "every": "1s"}, 413, "ask for a shorter span"),
    ("rows/funding", {"limit": -5}, 422, "limit"),
    ("rows/funding", {"limit": 10**9}, 422, "limit"),
    ("rows/funding", {"cursor": "abc"}, 422, "is no cursor"),
    ("rows/nothing", {}, 404, "openapi.json"),
    ("score", {"symbol": "SOL/USDT:USDT", "exchange": "sim-a"}, 404, "plimsoll score heatmap"),
]


@pytest.mark.parametrize(("path", "asked", "status", "words"), REFUSED)
def test_a_bad_question_is_refused_with_what_to_do(ask, path, asked, status, words) -> None:
    answer = ask(f"{API}/{path}", params=asked)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert set(body) == {"type", "title", "status", "detail"}
        assert body["status"] == status
        assert words in body["detail"]


def test_no_form_that_is_accepted_is_refused(ask) -> None:
    answer = ask(f"{API}/overview", headers={"Accept": "text/html"})
    assert answer.status_code == 406
    assert COLUMNS in answer.json()["detail"]


def test_without_a_store_the_server_says_what_to_do(tmp_path: Path) -> None:
    ask = Caller(create_app(plimsoll.open(tmp_path / "none")))
    answer = ask(f"{API}/overview")
    assert answer.status_code == 404
    assert "plimsoll import" in answer.json()["detail"]
    assert ask("/healthz").json()["status"] == "no store"


TOKEN = "a-token-of-some-length"  # noqa: S105


def test_where_a_token_is_needed_nothing_is_said_without_it(simulated) -> None:
    ask = Caller(create_app(simulated, Settings(token=TOKEN)))
    for path in (f"{API}/about", f"{API}/openapi.json", "/metrics", f"{API}/nothing"):
        assert ask(path).status_code == 401, path
        assert ask(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert ask(path, headers={"Authorization": "Bearer ä".encode()}).status_code == 401
        assert ask(path, headers={"Cookie": 'plimsoll_token="'}).status_code == 401
        assert ask(f"{path}?token={TOKEN}").status_code == 401
    assert ask("/healthz").status_code == 200
    assert ask("/").status_code == 200
    assert ask(f"{API}/about", headers={"Authorization": f"Bearer {TOKEN}"}).json()["token"] is True


def test_a_browser_gets_a_cookie_that_its_scripts_cannot_read(simulated) -> None:
    ask = Caller(create_app(simulated, Settings(token=TOKEN)))
    assert ask(f"{API}/sign-in", "POST", json={"token": "wrong"}).status_code == 401
    assert ask(f"{API}/sign-in", "POST", content=b"x" * 5_000).status_code == 413
    assert ask(f"{API}/sign-in", "POST", content=b"{}").status_code == 422
    signed = ask(f"{API}/sign-in", "POST", json={"token": TOKEN})
    cookie = signed.headers["set-cookie"]
    assert signed.status_code == 204
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    found = ask(f"{API}/about", headers={"Cookie": cookie.split(";")[0]})
    assert found.status_code == 200


def test_other_pages_and_other_names_are_refused(ask) -> None:
    assert ask(f"{API}/about", headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert ask(f"{API}/about", headers={"Origin": "null"}).status_code == 403
    own = ask(f"{API}/about", headers={"Origin": "http://localhost"})
    assert own.status_code == 200
    assert not [name for name in own.headers if name.startswith("access-control")]
    assert ask(f"{API}/about", headers={"Host": "rebound.example:8686"}).status_code == 421


def test_browsers_are_told_what_a_page_may_do(ask) -> None:
    for path in ("/", f"{API}/about", f"{API}/nothing"):
        headers = ask(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_client_that_asks_too_often_is_told_to_wait_and_others_are_not(simulated) -> None:
    app = create_app(simulated, Settings(limits=Limits(rate=0.001, burst=5)))
    one, other = Caller(app), Caller(app, "192.0.2.7")
    answers = [one(f"{API}/about") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].headers["retry-after"] == "1"
    assert other(f"{API}/about").status_code == 200


def test_a_client_may_have_only_so_many_questions_open(simulated) -> None:
    ask = Caller(create_app(simulated, Settings(limits=Limits(at_once=3))))
    paths = [f"{API}/open-interest?symbol=SOL&every={hours}h" for hours in range(1, 9)]
    found = [answer.status_code for answer in ask.all(paths)]
    assert sorted(found) == [200] * 3 + [429] * 5


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of a page, beside a file that is none of its business."""
    folder = tmp_path / "site" / "a_page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "main-1a2b.js").write_text("export {}")
    (folder / ".stamp").write_text("hidden")
    (tmp_path / "site" / "secret.txt").write_text("secret")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return "a_page"


def test_the_page_is_served_and_nothing_beside_it(simulated, site: str, monkeypatch) -> None:
    monkeypatch.setattr(pages, "PACKAGE", site)
    ask = Caller(create_app(simulated))
    index, script = ask("/"), ask("/assets/main-1a2b.js")
    assert index.text == "<!doctype html>the page"
    assert index.headers["content-type"].startswith("text/html")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    for path in (
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/..%5csecret.txt",
        "/etc/passwd",
        "/.stamp",
        "/assets",
        "/assets/",
        "/assets/main-1a2b.js%00.txt",
        "/" + "a" * 5_000,
    ):
        found = ask(path)
        assert found.status_code == 404, path
        assert "secret" not in found.json()["title"]


def test_without_a_page_one_sentence_says_what_to_run(simulated, monkeypatch) -> None:
    monkeypatch.setattr(pages, "PACKAGE", "no_such_package")
    answer = Caller(create_app(simulated))("/")
    assert answer.status_code == 200
    assert "uv sync" in answer.text


def test_what_was_counted_is_told(ask) -> None:
    text = ask("/metrics").text
    assert "# TYPE plimsoll_server_answers_made_total counter" in text
    assert "plimsoll_server_streams 0\n" in text
