"""Checks how a period's sources were read: by the manifest of its staging and the site file, never by a source.

What the manifest says of lines goes to the run as small frames of counts and names; of these, verdicts alone are kept.
What was read of a column is written down nowhere, so columns are judged as the site file declares them: no other is
ever read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd

from pipeline.deidentify import batches, errors, requests
from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import SourceCounts, Staging, StagingManifest
from pipeline.deidentify.visitors import ERRORS, SOURCE
from pipeline.errors import ConfigurationError
from pipeline.onboarding.wording import PEOPLE
from pipeline.site import CustomerSource, SiteFile, VisitorSource
from pipeline.sources.headers import words_of
from pipeline.sources.payment import names_payment
from pipeline.validation.runs import Subject, run
from pipeline.validation.suites import Parameters, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_SOURCES: Final = "sources"  # subject of the verdicts
_CUSTOMERS, _ORDERS = "customers", "orders"
_LEFT_OUT, _REJECTED = "left out", "rejected"
# Of rows that the readers of tables cannot read, and of those that the stages of customers and orders cannot use.
_ROWS_REJECTED: Final = frozenset(
    {"encoding", "number of columns", "unclosed quote", "too long"}
    | {"no key", "repeated key", "date", "currency", "amount"}
)
_ERRORS_LEFT_OUT: Final = frozenset({requests.OUTSIDE, errors.NO_CLIENT, "internal", errors.NO_REQUEST_BESIDE})
# By source, every reason that the program gives: of leaving a line out, and of rejecting it.
_REASONS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    SOURCE: (frozenset(requests.LEFT_OUT), frozenset(requests.REJECTED)),
    ERRORS: (_ERRORS_LEFT_OUT, frozenset(errors.REJECTED)),
    _CUSTOMERS: (batches.LEFT_OUT, _ROWS_REJECTED),
    _ORDERS: (batches.LEFT_OUT, _ROWS_REJECTED),
}
# What a column is called that tells who somebody is, where its name says nothing else but of whom. These are whole
# names: ``email_opt_in`` or ``plan_name`` is not meant, and what is made of a column is a closed list in any case.
_IDENTIFIERS: Final = frozenset(
    {"name", "firstname", "lastname", "surname", "forename", "fullname", "givenname", "familyname", "middlename",
     "maidenname", "username", "nickname", "email", "mail", "emailaddress", "mailaddress", "phone", "telephone",
     "phonenumber", "telephonenumber", "mobilenumber", "faxnumber", "address", "street", "streetaddress",
     "postaladdress", "ip", "ipaddress", "ssn", "socialsecuritynumber", "passport", "passportnumber"}
)  # fmt: skip
_OF_WHOM: Final = PEOPLE | {"billing", "shipping", "delivery", "home", "work", "primary"}
_COOKIES: Final = frozenset({"cookie", "cookies", "authorization", "authorisation", "password"})


def check_sources(workspace: Workspace, site: SiteFile, staging: Staging) -> Verdicts:
    """Run the suite ``sources`` on what is written down of how a period was read, and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs and the period's key.
        site: Declares the sources.
        staging: One period of one population; only its manifest is read.

    Returns:
        One verdict a check, without values. Call ``require`` on it.

    Raises:
        ConfigurationError: The site has no such population.
    """
    facts, manifest = _facts(workspace, site, staging), staging.manifest
    source = site.visitors if staging.population is Population.VISITORS else site.customers
    assert source is not None  # or the site would have been refused for it
    columns = _visitor_fields(source) if isinstance(source, VisitorSource) else _customer_columns(source)
    subjects = [
        Subject("lines", "lines", _SOURCES, _lines(manifest), _parameters(source)),
        Subject("texts", "texts", _SOURCES, _texts(manifest), {}),
        Subject("files", "files", _SOURCES, _files(manifest), {}),
        Subject("columns", "columns", _SOURCES, pd.DataFrame(columns, columns=_FLAGS, dtype=bool), {}),
        Subject("facts", "facts", _SOURCES, pd.DataFrame([facts]), {}),
    ]
    run_name = f"{staging.population}.{staging.period}"
    return run(workspace, load_suite("sources"), str(staging.population), run_name, subjects)


def _parameters(source: VisitorSource | CustomerSource) -> Parameters:
    """The sources that the site file declares, with their limits, and the reasons that the program knows of them."""
    carrying: list[str] = []
    if isinstance(source, VisitorSource):
        limits = dict.fromkeys([SOURCE, *[ERRORS] * bool(source.error_logs)], source.max_rejected_share)
    else:
        limits = {_CUSTOMERS: source.max_rejected_share}
        limits |= {_ORDERS: source.orders.max_rejected_share} if source.orders else {}
        carrying = [_CUSTOMERS] if source.changed else []
    reasons = [
        _reason(name, became, reason)
        for name in limits
        for became, known in zip((_LEFT_OUT, _REJECTED), _REASONS[name], strict=True)
        for reason in sorted(known)
    ]
    asked = [_reason(name, _LEFT_OUT, AT_REQUEST) for name in limits]
    return {"declared": list(limits), "limits": limits, "carrying": carrying, "reasons": [*reasons, *asked]}


def _lines(manifest: StagingManifest) -> pd.DataFrame:
    # one row a place where lines of a source ended
    rows = [row for name, counts in manifest.sources.items() for row in _ends(name, counts)]
    rows += [(name, "in files", None, file.lines) for name, held in manifest.contents.items() for file in held]
    frame = pd.DataFrame(rows, columns=["source", "became", "reason", "lines"])
    return frame.astype({"source": "string", "became": "string", "reason": "string", "lines": "int64"})


def _ends(name: str, counts: SourceCounts) -> Iterator[tuple[str, str, str | None, int]]:
    yield name, "read", None, counts.read
    yield name, "used", None, counts.used
    yield name, "carried", None, counts.carried
    for became, reasons in ((_LEFT_OUT, counts.left_out), (_REJECTED, counts.rejected)):
        yield from ((name, became, _reason(name, became, reason), lines) for reason, lines in reasons.items())


def _reason(source: str, became: str, reason: str) -> str:
    return f"{source}, {became}: {reason}"


def _texts(manifest: StagingManifest) -> pd.DataFrame:
    # one row a text that is no number and no digest
    reasons = [text for counts in manifest.sources.values() for text in (*counts.left_out, *counts.rejected)]
    texts = [*manifest.sources, *manifest.contents, *manifest.formats, *reasons]
    return pd.DataFrame({"text": pd.Series(texts, dtype="string")})


def _files(manifest: StagingManifest) -> pd.DataFrame:
    # one row a log file
    rows = [
        (file.sha256, f"{name}: {file.sha256}", file.lines) for name, held in manifest.contents.items() for file in held
    ]
    frame = pd.DataFrame(rows, columns=["sha256", "content", "lines"])
    return frame.astype({"sha256": "string", "content": "string", "lines": "int64"})


# What is looked at of a declared column or field.
_FLAGS: Final = ["is_payment", "is_identifier", "is_cookie"]


def _visitor_fields(source: VisitorSource) -> list[tuple[bool, bool, bool]]:
    # one row a field that the site file finds by name; the others are of a format, and none of them is a cookie
    named = [place for log in source.log_sources for place in log.fields.values()]
    named += [source.time_zone_parameter] if source.time_zone_parameter else []
    return [(names_payment(name), False, bool(_COOKIES.intersection(words_of(name)))) for name in named]


def _customer_columns(source: CustomerSource) -> list[tuple[bool, bool, bool]]:
    # one row a column that the site file declares
    kept = [column.column for column in source.read_columns.values()]
    others = [source.person, source.signed_up, source.changed, source.email, *source.policy.model_dump().values()]
    if orders := source.orders:
        amount = orders.amount
        others += [orders.person, orders.placed, orders.product]
        others += [amount.column, amount.currency_column] if amount else []
    flags = [(names_payment(name), _names_somebody(name), False) for name in kept]
    return flags + [(names_payment(name), False, False) for name in others if name]


def _names_somebody(column: str) -> bool:
    return "".join(word for word in words_of(column) if word not in _OF_WHOM) in _IDENTIFIERS


def _facts(workspace: Workspace, site: SiteFile, staging: Staging) -> dict[str, bool]:
    manifest, period = staging.manifest, staging.period
    return {
        "is_of_the_period": (manifest.population, manifest.period) == (staging.population, str(period)),
        "is_of_the_declared_length": period.kind is site.period_kind(staging.population),
        "key_is_there": _key_is_there(workspace, staging),
    }


def _key_is_there(workspace: Workspace, staging: Staging) -> bool:
    try:
        period_key(workspace, staging.population, staging.period, make=False)
    except ConfigurationError:
        return False
    return True
