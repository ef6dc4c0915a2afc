"""The application: a session over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from plimsoll.errors import PlimsollError
from plimsoll.server import counters, page, schemas, stream
from plimsoll.server.forms import JSON, text
from plimsoll.server.guard import COOKIE, Guard
from plimsoll.server.hub import Hub
from plimsoll.server.problems import PROBLEM, Problem, of_error, of_validation
from plimsoll.server.questions import QUESTIONS, ROWS
from plimsoll.server.routes import question_route, rows_route
from plimsoll.server.service import Service, Settings
from plimsoll.session import offers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plimsoll.session import Session

__all__ = ["create_app"]

_ABOUT = (
    "What a Plimsoll session knows. Times are UTC; a range is `since ≤ time < until`. Numbers are "
    "numbers, what is unknown is null. Answers come as JSON of columns, as Arrow, or as binary "
    "columns, whichever `Accept` names. Estimates say that they are."
)


def create_app(session: Session, settings: Settings | None = None) -> FastAPI:
    """Return the application that serves a session.

    Parameters
    ----------
    session : Session
    settings : Settings, optional
    """
    service = Service(session, settings or Settings())
    hub = Hub(service)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warm = service.desk.run(lambda: _warm(session))
        tasks = [asyncio.ensure_future(work) for work in (warm, hub.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            service.desk.close()

    app = FastAPI(
        title="Plimsoll",
        version=version("plimsoll"),
        description=_ABOUT,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.add_middleware(Guard, service=service)
    _say_problems(app)
    app.include_router(_api(service), prefix="/api/v1")
    app.include_router(stream.router(service, hub), prefix="/api/v1")
    app.include_router(counters.router(service, hub))
    app.include_router(page.router())
    return app


def _warm(session: Session) -> None:
    """Compile what maps need, by answering the first thing a page asks."""
    with suppress(PlimsollError, ValueError):
        session.overview()


def _api(service: Service) -> APIRouter:
    router = APIRouter()
    for question in QUESTIONS:
        question_route(router, service, question)
    for question in ROWS:
        rows_route(router, service, question)
    _small_routes(router, service)
    return router


def _small_routes(router: APIRouter, service: Service) -> None:
    def sent(body: object) -> Response:
        return Response(text(body), media_type=JSON, headers={"Cache-Control": "no-cache"})

    @router.get("/about", responses=schemas.document("What is served."), response_class=Response)
    async def about() -> Response:
        """Say what is served, and between which times rows are stored."""
        first, last = await service.desk.run(service.stored)
        body = {
            "version": version("plimsoll"),
            "store": service.session.path.name,
            "simulated": service.layout.truth.is_dir(),
            "first": first,
            "last": last,
            "token": service.settings.token is not None,
        }
        return sent(body)

    @router.get(
        "/exchanges", responses=schemas.document("Offers, as rows."), response_class=Response
    )
    async def exchanges() -> Response:
        """Say what each exchange publishes, a row for each exchange and kind."""
        return sent({"facts": {"offers": offers()}, "columns": {}})

    @router.post(
        "/sign-in",
        status_code=204,
        responses=schemas.problems(401, 422, 429),
        openapi_extra=schemas.SIGN_IN,
    )
    async def sign_in(request: Request) -> Response:
        """Give a browser that knows the token a cookie; other clients send it in a header."""
        token, given = service.settings.token or "", await _token_of(request)
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise Problem(401, "token", "A token is needed", "that is not this server's token")
        response = Response(status_code=204)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, given, httponly=True, samesite="strict", secure=secure)
        return response


async def _token_of(request: Request) -> str:
    """Return the token that a body of a few bytes holds."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > schemas.SIGN_IN_BYTES:
            raise Problem(413, "too-large", "The body is too large", "send the token alone")
    try:
        found: Any = schemas.sign_in(body)
    except ValueError:
        raise of_validation([{"loc": ("body", "token"), "msg": 'send {"token": TEXT}'}]) from None
    return str(found)


def _say_problems(app: FastAPI) -> None:
    """Give every refusal the one shape."""

    def said(problem: Problem) -> Response:
        return Response(problem.body(), problem.status, headers=problem.headers, media_type=PROBLEM)

    async def problem(_request: Request, error: Exception) -> Response:
        return said(error if isinstance(error, Problem) else of_error(error))

    async def unread(_request: Request, error: Exception) -> Response:
        return said(of_validation(getattr(error, "errors", list)()))

    async def other(_request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        words = str(getattr(error, "detail", ""))
        detail = "see /api/v1/openapi.json for what can be asked"
        return said(Problem(status, "not-found" if status == 404 else "http", words, detail))

    for kind in (Problem, PlimsollError, ValueError, OverflowError):
        app.add_exception_handler(kind, problem)
    app.add_exception_handler(Exception, problem)
    app.add_exception_handler(RequestValidationError, unread)
    app.add_exception_handler(HTTPException, other)
