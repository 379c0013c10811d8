"""Pages that say what is wrong: rule, value and remedy; nothing of the program, and little to strangers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from pipeline.errors import AccessError, DemographicsError, LedgerError, NotApprovedError, kind_and_place
from pipeline.portal.templates import page

_LOG: Final = logging.getLogger("pipeline.portal")
_STATUS: Final = {AccessError: 403, NotApprovedError: 409, LedgerError: 409}
_RULES: Final = {
    400: "a form must be sent as the page has it",
    404: "there must be a page of that address",
    405: "a page is asked for in the way that it is made for",
}


class RefusedError(Exception):
    """Something that a page does not do, with the status that says so.

    Args:
        status: Of the answer: 404 for what is not there, 409 for what was decided, 403, 429 or 400.
        failure: What is told of it.
        headers: Of the answer.
    """

    def __init__(self, status: int, failure: DemographicsError, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.failure, self.headers = status, failure, dict(headers or {})
        super().__init__(status)


class LogInFirstError(Exception):
    """Nobody is logged in, who would have to be.

    Args:
        location: Where one logs in, and comes back from.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__("log in first")


def error_page(
    request: Request, status: int, failure: DemographicsError, headers: Mapping[str, str] | None = None
) -> Response:
    """The page of an error; plain text where even that fails."""
    known = getattr(request.state, "session", None) is not None
    told = known or status in {400, 403, 413, 429}  # what else is wrong names files and servers
    try:
        answer: Response = page(
            request,
            "error.html.j2",
            status,
            heading=HTTPStatus(status).phrase,
            rule=failure.rule,
            value=failure.value if told else None,
            remedy=failure.remedy if told else "",
        )
    except Exception as other:  # noqa: BLE001  whatever it is, its message may quote a record
        _LOG.error("An error page cannot be shown: %s", kind_and_place(other))
        answer = PlainTextResponse(f"{HTTPStatus(status).phrase}.", status)
    answer.headers.update(headers or {})
    return answer


def unforeseen(request: Request, failure: Exception) -> Response:
    """The page of an error of the program; its kind and place go into the log, and nothing onto the page."""
    _LOG.error("An error of the program at a %s: %s", request.method, kind_and_place(failure))
    return error_page(
        request,
        500,
        DemographicsError("this is an error of the program, not of what you did", remedy="Its place is in the log."),
    )


def install(app: FastAPI) -> None:
    """Show errors of all routes as pages."""
    app.add_exception_handler(DemographicsError, _told)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(LogInFirstError, _log_in_first)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(RequestValidationError, _not_understood)


def _told(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, DemographicsError)
    status = next((number for kind, number in _STATUS.items() if isinstance(failure, kind)), 500)
    if status == 500:
        _LOG.error("%s", failure)
    return error_page(request, status, failure)


def _refused(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, RefusedError)
    return error_page(request, failure.status, failure.failure, failure.headers)


def _log_in_first(_request: Request, failure: Exception) -> Response:
    assert isinstance(failure, LogInFirstError)
    return RedirectResponse(failure.location, 303)


def _of_the_framework(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)
    status = failure.status_code
    rule = _RULES.get(status, "a request must be one that this page answers")
    return error_page(request, status, DemographicsError(rule, remedy="Go back, and try again."), failure.headers)


def _not_understood(request: Request, _failure: Exception) -> Response:
    status = 404 if request.method == "GET" else 400
    return error_page(request, status, DemographicsError(_RULES[status], remedy="Go back, and try again."))
