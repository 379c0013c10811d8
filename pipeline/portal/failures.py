"""Pages that say what is wrong: rule, value and remedy; nothing of the program, and little to strangers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from pipeline.errors import (
    AccessError,
    DeliveryError,
    DemographicsError,
    LedgerError,
    NotApprovedError,
    UnknownEditionError,
    WithdrawnError,
    kind_and_place,
)
from pipeline.portal.templates import page

_LOG: Final = logging.getLogger("pipeline.portal")
_STATUS: Final = {
    AccessError: 403,
    NotApprovedError: 409,
    LedgerError: 409,
    UnknownEditionError: 404,
    WithdrawnError: 410,
    DeliveryError: 400,
}
# Below these, programs ask and not people.
_FOR_PROGRAMS: Final = ("/api", "/sharing", "/feed.atom")
_RULES: Final = {
    400: "a form must be sent as the page has it",
    404: "there must be a page of that address",
    405: "a page is asked for in the way that it is made for",
}
_RULES_OF_PROGRAMS: Final = {
    400: ("a request's body must be JSON that this address takes", "Send a JSON object in UTF-8, or nothing."),
    404: ("there must be an address of that name", "See the addresses in docs/entitlements.md, or the API's schema."),
    405: ("an address is asked in the way that it is made for", "See the header Allow."),
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
    """The page of an error, or what a program reads of it; plain text where even that fails."""
    if is_for_programs(request.url.path):
        return _problem(status, failure, headers)
    known = getattr(request.state, "session", None) is not None  # a reviewer, not a recipient
    told = known or status in {400, 403, 410, 413, 414, 416, 429, 431}  # what else is wrong names files and servers
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


def is_for_programs(path: str) -> bool:
    """Whether programs ask at a path: they get problems as JSON, and no cookie counts there."""
    return any(path == place or path.startswith(f"{place}/") for place in _FOR_PROGRAMS)


def _problem(status: int, failure: DemographicsError, headers: Mapping[str, str] | None) -> Response:
    """A problem as RFC 9457 has it, with the two members that clients of Delta Sharing read."""
    title = HTTPStatus(status).phrase
    inner = status >= 500 or isinstance(failure, LedgerError)  # what is wrong here names files and servers
    detail = failure.rule if inner or failure.value is None else f"{failure.rule}: {failure.value}"
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, "remedy": failure.remedy}
    content |= {"errorCode": title.upper().replace(" ", "_"), "message": detail}
    return JSONResponse(content, status, headers, media_type="application/problem+json")


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
    if isinstance(failure, LedgerError) and is_for_programs(request.url.path):
        status = 503  # nothing is decided here: the database is away, and may come back
    if status >= 500:
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
    rule, remedy = _RULES.get(status, "a request must be one that this page answers"), "Go back, and try again."
    if is_for_programs(request.url.path):
        rule, remedy = _RULES_OF_PROGRAMS.get(status, (rule, remedy))
    return error_page(request, status, DemographicsError(rule, remedy=remedy), failure.headers)


def _not_understood(request: Request, _failure: Exception) -> Response:
    if is_for_programs(request.url.path):
        failure = DemographicsError("a parameter must be one that this address takes", remedy="Read the API's schema.")
        return error_page(request, 400, failure)
    status = 404 if request.method == "GET" else 400
    return error_page(request, status, DemographicsError(_RULES[status], remedy="Go back, and try again."))
