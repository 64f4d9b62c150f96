"""Whatever an endpoint raises is answered with a problem."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from trimtab.wire import WireError
from trimtab_monitor.api.problems import Problem, malformed, store_unavailable
from trimtab_monitor.api.validation import invalid_request
from trimtab_monitor.store.protocols import StoreUnavailable


def install(app: FastAPI) -> None:
    """Answer everything that an endpoint raises with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WireError, _malformed)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, WireError)
    return malformed(error).response()


async def _unavailable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    return store_unavailable(error).response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"Nothing is at {request.url.path}."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not for {request.url.path}."
    else:
        detail = str(error.detail)
    kind = phrase.lower().replace(" ", "-")
    problem = Problem(
        error.status_code, kind, phrase.capitalize(), detail, remedy="See /docs for what there is."
    )
    return problem.response(error.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid_request(error).response()


async def _unexpected(request: Request, _error: Exception) -> Response:
    # Starlette's outermost middleware logs the traceback after this answer.
    return Problem(
        500,
        "internal-error",
        "Internal error",
        f"{request.method} {request.url.path} failed by a fault of the collector.",
        remedy="The collector's log has the traceback: please report it.",
    ).response()
