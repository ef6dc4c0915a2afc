"""Questions as paths: parameters are read, bounded and described; answers are told by the desk."""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response

from plimsoll.market.interval import duration, instant
from plimsoll.market.schema import TABLES
from plimsoll.server import schemas
from plimsoll.server.desk import Underway
from plimsoll.server.forms import FORMS, JSON, chosen, encode, text
from plimsoll.server.paging import page
from plimsoll.server.problems import Problem
from plimsoll.server.questions import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from plimsoll.server.desk import Body
    from plimsoll.server.questions import Question
    from plimsoll.server.service import Service

__all__ = ["encoding_of", "form_of", "known_parameters", "question_route", "respond", "rows_route"]

T = TypeVar("T")
_RELATIVE = re.compile(r"\s*\d+[smhdwy]\s*")
_LATEST = 60.0
"""How long an answer holds that counts back from now, seconds."""
_SHORTEST = timedelta(minutes=5)
"""The shortest step of a map where none is given."""
_WAIT = re.compile(r"(?:^|[,;\s])wait=(?P<seconds>\d{1,6})(?:$|[,;\s])")
_LEFT = 499
"""For the counters alone: whoever asked is not there to read it."""
_LONGEST_WAIT = 30.0
"""How long a client that wants to know how far its answer is may wait for it, seconds."""
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_PAGING = (
    Asked("limit", int, 1_000, "Rows on a page."),
    Asked("cursor", str | None, None, "What the page before said in `facts.next`."),
)


def question_route(router: APIRouter, service: Service, question: Question) -> None:
    """Add the path of a question."""
    told = question.told
    parameters = question.parameters

    async def answer(request: Request, **arguments: Any) -> Response:
        known_parameters(request, parameters)
        given = {name: value for name, value in arguments.items() if value not in (None, [])}
        form = form_of(request)

        def made() -> bytes:
            bounded(service, question, given)
            return encode(question.ask(service.session, given), form)

        return await _answered(service, request, question, given, made)

    answer.__signature__ = signature(parameters)  # type: ignore[attr-defined]
    router.add_api_route(
        question.path,
        answer,
        methods=["GET"],
        summary=told.summary,
        description=told.description,
        operation_id=question.path.strip("/").replace("/", "_").replace("-", "_"),
        responses=schemas.of_question(question),
        response_class=Response,
        openapi_extra={"parameters": [schemas.PREFER]},
    )


def rows_route(router: APIRouter, service: Service, question: Question) -> None:
    """Add the path of a table's rows, which come page by page."""
    kind, most = question.path.rsplit("/", 1)[-1], service.settings.limits.page
    parameters = question.parameters

    async def answer(request: Request, **arguments: Any) -> Response:
        known_parameters(request, [*parameters, *_PAGING])
        given = {name: value for name, value in arguments.items() if value not in (None, [])}
        form, limit, cursor = form_of(request), given["limit"], given.get("cursor")

        def made() -> bytes:
            span = service.span(kind, given)
            found = page(service.session, kind, given, stored=span, limit=limit, cursor=cursor)
            return encode(found, form)

        return await _answered(service, request, question, given, made)

    limit = Annotated[int, Query(description="Rows on a page.", ge=1, le=most)]
    more = [
        inspect.Parameter("limit", _KEYWORD, annotation=limit, default=min(1_000, most)),
        _parameter(_PAGING[1]),
    ]
    answer.__signature__ = signature(parameters, more)  # type: ignore[attr-defined]
    router.add_api_route(
        question.path,
        answer,
        methods=["GET"],
        summary=f"Rows of the table {kind}",
        description=f"{TABLES[kind].summary} By time, page by page: see `cursor`.",
        operation_id=f"rows_{kind}",
        responses=schemas.rows(kind),
        response_class=Response,
        openapi_extra={"parameters": [schemas.PREFER]},
    )


async def _answered(
    service: Service,
    request: Request,
    question: Question,
    given: Mapping[str, Any],
    made: Callable[[], bytes],
) -> Response:
    form = form_of(request)
    key = (question.path, form, _key(given))
    ask = service.desk.ask(
        key, made, encoding_of(request), lasts=_lasts(given), patience=_patience(request)
    )
    found = await _while_there(request, ask)
    if found is None:
        return Response(status_code=_LEFT)
    return _underway(found) if isinstance(found, Underway) else respond(request, found, form)


async def _while_there(request: Request, asked: Coroutine[Any, Any, T]) -> T | None:
    """Return what is asked; None once the client has gone."""
    answer, gone = asyncio.ensure_future(asked), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        gone.cancel()
        answer.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _patience(request: Request) -> float | None:
    """Return how long a client wants to wait, as RFC 7240 has it; None for as long as it takes."""
    said = _WAIT.search(request.headers.get("prefer", ""))
    return None if said is None else min(float(said["seconds"]), _LONGEST_WAIT)


def _underway(found: Underway) -> Response:
    """Return how far an answer has come."""
    body = text({"stages": [stage._asdict() for stage in found.stages]})
    headers = {"Cache-Control": "no-store", "Retry-After": "0"}
    return Response(body, status_code=202, headers=headers, media_type=JSON)


def signature(parameters: list[Asked], more: Iterable[inspect.Parameter] = ()) -> inspect.Signature:
    """Return what the framework reads a question's parameters from."""
    request = inspect.Parameter("request", _KEYWORD, annotation=Request)
    return inspect.Signature([request, *(_parameter(one) for one in parameters), *more])


def _parameter(one: Asked) -> inspect.Parameter:
    hint, default = one.hint, one.default
    if hint == list[str]:
        name = Annotated[str, Query(max_length=40, pattern=r"^[\w.-]+$")]
        hint, default = list[name], []
        rules: dict[str, Any] = {"max_length": 32}
    elif hint in (str, str | None):
        hint = str
        rules = {"max_length": 80, "min_length": 1, "pattern": r"^[^\x00-\x1f\x7f]*$"}
    elif hint in (int, int | None):
        hint = int
        rules = {"ge": 1, "le": 10_000}
    elif hint in (float, float | None):
        hint = float
        rules = {"allow_inf_nan": False}
    else:
        rules = {}
    query = Query(description=one.words, **rules)
    return inspect.Parameter(
        one.name,
        _KEYWORD,
        annotation=Annotated[hint, query],
        default=default,
    )


def known_parameters(request: Request, parameters: list[Asked]) -> None:
    """Refuse a parameter that the question does not have: it is most likely misspelt.

    Raises
    ------
    Problem
    """
    known = [one.name for one in parameters]
    for name in request.query_params:
        if name not in known:
            raise Problem(
                422,
                "unknown-parameter",
                "The question has no such parameter",
                f"there is no parameter {name!r} here; known: {', '.join(known)}",
            )
    for one in parameters:
        if one.hint != list[str] and len(request.query_params.getlist(one.name)) > 1:
            detail = f"{one.name} is given more than once; give it once"
            raise Problem(422, "unreadable", "The question cannot be read", detail)


def form_of(request: Request) -> str:
    """Return the form that a client accepts.

    Raises
    ------
    Problem
        If it accepts none.
    """
    form = chosen(request.headers.get("accept", ""))
    if form is None:
        detail = f"accept one of: {', '.join(FORMS)}"
        raise Problem(406, "not-acceptable", "No such form", detail)
    return form


def encoding_of(request: Request) -> str:
    """Return how a client's answer is compressed."""
    accepted = request.headers.get("accept-encoding", "").lower()
    names = {part.split(";")[0].strip() for part in accepted.split(",") if "q=0" not in part[-4:]}
    return next((name for name in ("br", "gzip") if name in names), "identity")


def respond(request: Request, body: Body, form: str) -> Response:
    """Return a body, or that what the client has is current."""
    headers = {"ETag": body.tag, "Cache-Control": "private, no-cache"}
    headers["Vary"] = "Accept, Accept-Encoding, Authorization, Cookie"
    held = [
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("if-none-match", "").split(",")
    ]
    if body.tag in held:
        return Response(status_code=304, headers=headers)
    if body.encoding != "identity":
        headers["Content-Encoding"] = body.encoding
    return Response(body.content, media_type=form, headers=headers)


def bounded(service: Service, question: Question, given: Mapping[str, Any]) -> None:
    """Refuse a question of more steps of time than it may have.

    Raises
    ------
    Problem, ValueError
    """
    steps_given = [given[name] for name in ("interval", "every") if name in given]
    if not steps_given and "since" not in given:
        return
    now = datetime.now(tz=UTC)
    length = min([duration(step) for step in steps_given], default=_SHORTEST)
    first, last = service.stored()
    since = instant(given["since"], now) if "since" in given else first
    until = instant(given["until"], now) if "until" in given else last
    steps = (min(until, last) - max(since, first)) / length
    if steps > question.most:
        raise Problem(
            413,
            "too-many-steps",
            "The question is too large",
            f"it has about {steps:,.0f} steps of {length}, this server answers at most "
            f"{question.most:,}; ask for a shorter span, or longer steps",
        )


def _lasts(given: Mapping[str, Any]) -> float:
    times = (given.get(name) for name in ("since", "until", "as_of", "at"))
    relative = any(isinstance(time, str) and _RELATIVE.fullmatch(time) for time in times)
    return _LATEST if relative else inf


def _key(given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return tuple(sorted(plain.items()))
