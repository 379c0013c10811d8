"""From what comes in to what is kept, whichever way it came.

Whatever comes in is kept, sealed: as a request, or as something that cannot be used, with the reason. A request that
cannot be used has the same deadline as any other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import RequestError
from pipeline.rights.contents import Unusable
from pipeline.rights.parsing import Fields, outline, parse_request
from pipeline.rights.requests import SubjectRequest
from pipeline.rights.store import Incoming, Received, RequestStore
from pipeline.site import SiteFile


@dataclass(frozen=True)
class Collected:
    """What a collection found; numbers of requests, not of people.

    Attributes:
        received: That are new and can be applied.
        again: That were there already.
        refused: That are new and cannot be used.
    """

    received: int = 0
    again: int = 0
    refused: int = 0

    def __add__(self, other: Collected) -> Collected:
        return Collected(self.received + other.received, self.again + other.again, self.refused + other.refused)


def understood(fields: Fields, site: SiteFile, now: dt.datetime, place: str = "") -> SubjectRequest | Unusable:
    """A request of these fields, or why they are none.

    Args:
        fields: By name; see ``parsing.FIELDS``.
        site: Says how people may be named.
        now: When they came in.
        place: Where they came from, for the reason: ``line 3: ``.
    """
    try:
        return parse_request(fields, site, now)
    except RequestError as failure:
        told = outline(fields, site, now)
        return Unusable(fields, f"{place}{failure.rule}", told.received, told.kind, told.population)


def keep(store: RequestStore, incoming: Sequence[Incoming]) -> Collected:
    """Keep all of them, in one transaction."""
    found = store.receive_all(incoming)
    again = sum(one.again for one in found)
    refused = sum(
        isinstance(one.content, Unusable) and not kept.again for one, kept in zip(incoming, found, strict=True)
    )
    return Collected(len(found) - again - refused, again, refused)


def retry(store: RequestStore, site: SiteFile, identity: str, now: dt.datetime | None = None) -> Received:
    """Try a refused request anew, after the site file was corrected.

    Raises:
        RequestError: There is no refused request of that id, its fields could never be told, or it still cannot be
            used: then it stays refused, with the reason of now.
        ConfigurationError: The key is missing or another one.
    """
    row, fields = store.refused_fields(identity)
    if fields is None:
        raise RequestError(
            "a request to retry must have fields that could be told",
            value=f"{identity}, a whole file or a line",
            remedy="Have it sent again, and close this one.",
        )
    try:
        moment = now or dt.datetime.now(dt.UTC)
        request = parse_request(
            {**fields, "received": fields.get("received") or row.received.isoformat()}, site, moment
        )
    except RequestError as failure:
        store.refuse_again(identity, failure.rule)
        raise
    return store.reopen(identity, request)
