"""From fields of text to a request: the same rules for the command line, the drop folder and the database table.

An error names the field and the rule, and never what stands in the field.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.deidentify.addresses import look_up_addresses
from pipeline.errors import RequestError
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.site import SiteFile
from pipeline.sources.formats import LONGEST_AGENT
from pipeline.vocabulary import UNIT_NAMES, Dimension, Population

Fields = Mapping[str, object]

# Fields of a request, and how many characters each may have.
FIELDS: Final = {
    "request": 20,
    "population": 20,
    "customer": 200,
    "email": 320,  # RFC 5321, 4.5.3.1: 64 before the sign, 255 after it
    "address": 100,
    "agent": 65_536,  # more than servers take; what is told apart is less
    "since": 40,
    "until": 40,
    "set": 4_000,
    "received": 40,
}
_VISITORS_ALONE: Final = ("address", "agent", "since", "until")
_CUSTOMERS_ALONE: Final = ("customer", "email")
# Control characters (of C0 and C1), line and paragraph separators, and halves of characters.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EDGES: Final = " \t\r\n"
_EMAIL: Final = re.compile(r"[^\s@][^\s]*@[^\s@]+")
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?", re.ASCII)
_TOLERANCE: Final = dt.timedelta(minutes=5)  # by which another machine's clock may be ahead
_DAY: Final = dt.timedelta(days=1)
_WITHOUT_AGENTS: Final = frozenset({"common", "common_with_host"})
_POPULATIONS: Final = {name: who for who in Population for name in (who.value, UNIT_NAMES[who])}


@dataclass(frozen=True)
class Outline:
    """What can be told of a request that cannot be used, and names nobody.

    Attributes:
        kind: What is asked for; empty where that cannot be read.
        population: Of whom; empty where that cannot be read.
        received: When; now, where that cannot be read.
    """

    kind: str
    population: str
    received: dt.datetime


def parse_request(fields: Fields, site: SiteFile, now: dt.datetime) -> SubjectRequest:
    """Understand a request.

    Args:
        fields: Some of ``FIELDS``, each a text; ``set`` may be a mapping, too. Empty ones are as if not there.
        site: Says how people may be named, and what may be corrected.
        now: An instant with a zone; when it was received, unless the fields say so.

    Returns:
        The request; its instants are in UTC. A visitor's request other than an opt-out ends, without ``until``, with
        the day on which it was received.

    Raises:
        RequestError: A rule is broken; says which, and not by what.
    """
    given = _given(fields)
    kind, population = _kind(given), _population(given, site)
    request = SubjectRequest(kind, population, _received(given, site, now))
    request = replace(request, values=_values(request, given, site))
    if population is Population.CUSTOMERS:
        return _of_customer(request, given, site)
    return _of_visitor(request, given, site)


def outline(fields: Fields, site: SiteFile, now: dt.datetime) -> Outline:
    """What can be told of fields that are no request."""
    kind, population, received = "", "", now
    for name in ("request", "population", "received"):
        with contextlib.suppress(RequestError):
            given = _given({name: fields.get(name)})
            if name == "request":
                kind = _kind(given).value
            elif name == "population":
                population = _population(given, site).value
            else:
                received = _received(given, site, now)
    return Outline(kind, population, received)


def _given(fields: Fields) -> dict[str, str]:
    """The fields that are there, each as text without control characters and within its length."""
    if unknown := len(set(fields) - set(FIELDS)):
        raise RequestError(
            "a request must have no other fields than its own",
            value=f"{unknown} of another name",
            remedy=f"Use {', '.join(FIELDS)}.",
        )
    texts = {name: _text(name, value) for name, value in fields.items()}
    return {name: text for name, text in texts.items() if text}


def _text(name: str, value: object) -> str:
    if name == "set" and isinstance(value, Mapping) and all(isinstance(part, str) for part in value.values()):
        value = json.dumps(dict(value))
    if not isinstance(value, str | None):
        raise RequestError(f"{name} must be text", remedy="Write it in quotes.")
    text = (value or "").strip(_EDGES)
    if len(text) > FIELDS[name]:
        raise RequestError(f"{name} must have {FIELDS[name]:,} characters at most", remedy="Check what was put there.")
    if _UNPRINTABLE.search(text):
        raise RequestError(f"{name} must be one line without control characters", remedy="Type it anew.")
    return text


def _kind(given: Mapping[str, str]) -> RequestKind:
    try:
        return RequestKind(_require(given, "request").lower().replace(" ", "-").replace("_", "-"))
    except ValueError:
        raise RequestError(f"request must be one of {', '.join(RequestKind)}", remedy="Write one of these.") from None


def _population(given: Mapping[str, str], site: SiteFile) -> Population:
    there = [who for who in Population if (site.visitors if who is Population.VISITORS else site.customers)]
    found = _POPULATIONS.get(_require(given, "population").lower())
    if found not in there:
        raise RequestError(
            f"population must be {' or '.join(there)}, which the site file declares", remedy="Write it so."
        )
    return found


def _received(given: Mapping[str, str], site: SiteFile, now: dt.datetime) -> dt.datetime:
    if "received" not in given:
        return now.astimezone(dt.UTC)
    found = _instant(given, "received", site)
    if found > now + _TOLERANCE:
        raise RequestError("received must not be in the future", remedy="Check its time zone, or leave it out.")
    return min(found, now.astimezone(dt.UTC))


def _instant(given: Mapping[str, str], name: str, site: SiteFile, *, ends: bool = False) -> dt.datetime:
    """A day or an instant, in UTC; what has no zone is in the site's. A day that ends something is part of it."""
    text = given[name]
    try:
        if (shape := _TIME.fullmatch(text)) is None:
            raise ValueError
        if shape[1] is None:
            day = dt.date.fromisoformat(text) + (_DAY if ends else _DAY * 0)
            found = dt.datetime.combine(day, dt.time(), site.zone)
        else:
            found = dt.datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=site.zone)
        return found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise RequestError(
            f"{name} must be a day or an instant (ISO 8601)",
            remedy="Write it as 2026-10-05, 2026-10-05T14:30 or 2026-10-05T14:30+02:00.",
        ) from None


def _of_customer(request: SubjectRequest, given: Mapping[str, str], site: SiteFile) -> SubjectRequest:
    assert site.customers is not None
    _refuse(given, _VISITORS_ALONE, "visitors")
    by_email = site.customers.email is not None
    if sum(name in given for name in _CUSTOMERS_ALONE) != 1:
        raise RequestError(
            f"a customer must be named in one way: {'by customer or by email' if by_email else 'by customer'}",
            remedy="Give one of these fields.",
        )
    if "email" not in given:
        return replace(request, customer=given["customer"])
    if not by_email:
        raise RequestError(
            "email can name a customer only where the site file declares their e-mail address",
            remedy="Name them by customer, or declare customers.email and ingest anew.",
        )
    if not _EMAIL.fullmatch(given["email"]):
        raise RequestError("email must be an e-mail address", remedy="Check its spelling.")
    return replace(request, email=given["email"])


def _of_visitor(request: SubjectRequest, given: Mapping[str, str], site: SiteFile) -> SubjectRequest:
    _refuse(given, _CUSTOMERS_ALONE, "customers")
    _require(given, "since")
    since = _instant(given, "since", site)
    if since > request.received:
        raise RequestError("since must not be after the request was received", remedy="Check the day.")
    until = _until(request, given, site)
    if until is not None and until <= since:
        raise RequestError("until must be after since", remedy="Check both.")
    address, agent = _address(given), _agent(given, site)
    return replace(request, address=address, agent=agent, since=since, until=until)


def _until(request: SubjectRequest, given: Mapping[str, str], site: SiteFile) -> dt.datetime | None:
    opts_out = request.kind is RequestKind.OPT_OUT
    if "until" not in given and opts_out:
        return None
    today = request.received.astimezone(site.zone).date()
    end = dt.datetime.combine(today + _DAY, dt.time(), site.zone).astimezone(dt.UTC)
    if "until" not in given:
        return end
    until = _instant(given, "until", site, ends=True)
    if until > end and not opts_out:
        raise RequestError(
            "until must not be after the day on which the request was received, unless it is an opt-out",
            remedy="Leave it out, or opt out for what is to come.",
        )
    return until


def _address(given: Mapping[str, str]) -> str:
    text = _require(given, "address")
    # As ingestion reads it. A chain of several addresses is of proxies, too: whose request it was, it does not tell.
    found = None
    if "," not in text:
        looked_up = look_up_addresses([text], trusted=(), internal=(), regions=None)
        found = looked_up.column("visitor_address")[0].as_py()
    if found is None:
        raise RequestError("address must be one IP address", remedy="Write it as 192.0.2.1 or 2001:db8::1.")
    return str(found)


def _agent(given: Mapping[str, str], site: SiteFile) -> str:
    assert site.visitors is not None
    if all(source.format in _WITHOUT_AGENTS for source in site.visitors.log_sources) and "agent" not in given:
        return ""  # the visitors of such logs are told apart by their addresses alone
    agent = _require(given, "agent")
    if agent == "-":
        raise RequestError("agent must be a browser's user agent", remedy="Copy it whole, as the log has it.")
    return agent[:LONGEST_AGENT]


def _values(request: SubjectRequest, given: Mapping[str, str], site: SiteFile) -> dict[str, str]:
    corrects = request.kind is RequestKind.CORRECT
    if corrects is not ("set" in given):
        raise RequestError("set must be given to correct something, and for nothing else", remedy="Correct the fields.")
    if not corrects:
        return {}
    offered = {name: one for name, one in site.dimensions(request.population).items() if one.per_person}
    pairs = _pairs(given["set"])
    found = {name: _key(offered, name, key) for name, key in pairs}
    if len(found) < len(pairs):
        raise RequestError("set must name each dimension once", remedy="Correct it.")
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    """``country=AT; language=de``, or the same as a JSON object."""
    if text.startswith("{"):
        try:
            pairs = json.loads(text, object_pairs_hook=list)
        except (ValueError, RecursionError):
            pairs = None
        is_flat = isinstance(pairs, list) and all(isinstance(key, str) for _, key in pairs)
        found = [(name, key.strip(_EDGES)) for name, key in pairs] if is_flat else []
    else:
        parts = [part.partition("=") for part in text.split(";") if part.strip()]
        found = [(name.strip(), key.strip()) for name, sign, key in parts if sign]
        found = found if len(found) == len(parts) else []
    if not found:
        raise RequestError("set must be pairs as country=AT; language=de", remedy="Write it so.")
    return found


def _key(offered: Mapping[str, Dimension], name: str, key: str) -> str:
    if name not in offered:
        raise RequestError(
            "set must name dimensions of which a person has one value", remedy=f"Use {', '.join(sorted(offered))}."
        )
    if key not in offered[name].keys:
        raise RequestError(
            f"set must name keys of the closed lists: {name} has none such",
            remedy="Write it as the tables of releases do.",
        )
    return key


def _require(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise RequestError(f"{name} must be given", remedy="Add the field.")
    return given[name]


def _refuse(given: Mapping[str, str], names: tuple[str, ...], whose: str) -> None:
    if present := [name for name in names if name in given]:
        raise RequestError(
            f"{', '.join(present)} must be given for {whose} only", remedy="Correct the population, or leave it out."
        )
