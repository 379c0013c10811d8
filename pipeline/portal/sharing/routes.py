"""The addresses of Delta Sharing, for holders of tokens with the scope ``sharing``."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import Response

from pipeline.delivery.catalogue import Held, unknown
from pipeline.delivery.downloads import Way
from pipeline.delivery.tokens import Holder, Scope
from pipeline.errors import AccessError, DeliveryError
from pipeline.keys import key_at
from pipeline.portal.access import now, settings_of
from pipeline.portal.failures import RefusedError
from pipeline.portal.files import file_response, files_of
from pipeline.portal.holders import catalogue_of, holder_of, tokens_of
from pipeline.portal.sharing import addresses, replies
from pipeline.portal.sharing.addresses import Opened
from pipeline.publication.reading import manifest_in
from pipeline.release.artefact import TableFacts

PREFIX: Final = "/sharing"
_TABLE: Final = "/shares/{share}/schemas/{schema}/tables/{table}"

Sharing = Annotated[Holder, Depends(holder_of(Scope.SHARING))]
Most = Annotated[str | None, Query(alias="maxResults", max_length=20)]
After = Annotated[str | None, Query(alias="pageToken", max_length=20)]
Asked = Annotated[dict[str, Any] | None, Body()]


def router() -> APIRouter:
    """The routes of Delta Sharing."""
    routes = APIRouter(prefix=PREFIX, include_in_schema=False)
    for place, answer in (
        ("/shares", shares),
        ("/shares/{share}", share_details),
        ("/shares/{share}/schemas", schemas),
        ("/shares/{share}/schemas/{schema}/tables", tables),
        ("/shares/{share}/all-tables", all_tables),
        (f"{_TABLE}/version", version),
        (f"{_TABLE}/metadata", metadata),
        (f"{_TABLE}/changes", changes),
        ("/files/{product}/{period}/{revision}/{table}", shared_file),
    ):
        routes.add_api_route(place, answer, methods=["GET"])
    routes.add_api_route("/files/{product}/{period}/{revision}/{table}", shared_file, methods=["HEAD"])
    routes.add_api_route(_TABLE, version, methods=["HEAD"])
    routes.add_api_route(f"{_TABLE}/query", query, methods=["POST"])
    return routes


def shares(request: Request, holder: Sharing, most: Most = None, after: After = None) -> Response:
    """The products of a recipient."""
    return replies.page_of([_share(name) for name in _products(request, holder)], most, after)


def share_details(request: Request, holder: Sharing, share: str) -> dict[str, object]:
    """One product."""
    return {"share": _share(_product(request, holder, share))}


def schemas(request: Request, holder: Sharing, share: str, most: Most = None, after: After = None) -> Response:
    """The periods of a product of which an edition stands."""
    name = _product(request, holder, share)
    found = [{"name": held.edition.period, "share": name} for held in _standing(request, holder, name)]
    return replies.page_of(found, most, after)


def tables(
    request: Request, holder: Sharing, share: str, schema: str, most: Most = None, after: After = None
) -> Response:
    """The tables of one period."""
    held = _current(request, holder, share, schema)
    return replies.page_of(_tables(held), most, after)


def all_tables(request: Request, holder: Sharing, share: str, most: Most = None, after: After = None) -> Response:
    """The tables of all periods of a product."""
    name = _product(request, holder, share)
    found = [table for held in _standing(request, holder, name) for table in _tables(held)]
    return replies.page_of(found, most, after)


def version(
    request: Request,
    holder: Sharing,
    share: str,
    schema: str,
    table: str,
    since: Annotated[str | None, Query(alias="startingTimestamp", max_length=40)] = None,
) -> Response:
    """The revision that stands."""
    if since is not None:
        raise _no_time("startingTimestamp")
    held, _ = _found(request, holder, (share, schema, table), None)
    return Response(headers={replies.VERSION_HEADER: str(held.edition.revision)})


def metadata(request: Request, holder: Sharing, share: str, schema: str, table: str) -> Response:
    """What a table is."""
    held, facts = _found(request, holder, (share, schema, table), None)
    return replies.lines_of([replies.protocol(), replies.metadata(held, facts)], held.edition.revision)


def query(request: Request, holder: Sharing, share: str, schema: str, table: str, asked: Asked = None) -> Response:
    """Where the one file of a table is read. Hints are hints: they need not be followed."""
    wanted = (asked or {}).get("version")
    for name in ("timestamp", "startingVersion", "endingVersion"):
        if (asked or {}).get(name) is not None:
            raise _no_time(name)
    if wanted is not None and (type(wanted) is not int or not 0 < wanted < 10**6):
        raise DeliveryError("a version must be the number of a revision", remedy="The first one is 1.")
    held, facts = _found(request, holder, (share, schema, table), wanted)
    listed = files_of(held)[f"{facts.name}.parquet"]
    until = now().replace(microsecond=0) + addresses.LIVES
    one = held.edition
    opened = Opened(holder.token, one.product, one.period, one.revision, facts.name, int(until.timestamp()))
    file = replies.file_of(held, listed, _address(request, opened), until)
    return replies.lines_of([replies.protocol(), replies.metadata(held, facts), file], one.revision)


def changes(_holder: Sharing, share: str, schema: str, table: str) -> Response:
    """Nothing is told of changes between versions: a revision is a release of its own."""
    raise DeliveryError(
        "changes between versions are not told: a revision is a whole new release",
        value=f"{share}.{schema}.{table}"[:120],
        remedy="Read both versions.",
    )


def shared_file(  # noqa: PLR0913, PLR0917  all that an address says
    request: Request, product: str, period: str, revision: int, table: str, token: int, until: int, mark: str
) -> Response:
    """The file of a table, at an address that was signed for one token and lives for 15 minutes."""
    opened = Opened(token, product, period, revision, table, until)
    key = key_at(request.app.state.workspace.portal_key)
    holder = tokens_of(request).living(token, now()) if addresses.is_signed(key, opened, mark, now()) else None
    if holder is None or Scope.SHARING not in holder.scopes:
        raise RefusedError(
            403,
            AccessError(
                "an address of a file opens it for 15 minutes, for a token that lives",
                remedy="Ask for the table again.",
            ),
        )
    held = catalogue_of(request).edition(holder.recipient, product, period, revision, now())
    return file_response(request, held, f"{table}.parquet", Way.SHARING, token)


def _address(request: Request, opened: Opened) -> str:
    key = key_at(request.app.state.workspace.portal_key)
    told = {"token": opened.token, "until": opened.until, "mark": addresses.mark_of(key, opened)}
    place = f"{PREFIX}/files/{opened.product}/{opened.period}/{opened.revision}/{opened.table}"
    return f"{settings_of(request).origin}{place}?{urlencode(told)}"


def _products(request: Request, holder: Holder) -> list[str]:
    editions = catalogue_of(request).editions(holder.recipient, now())
    return sorted({held.edition.product for held in editions})


def _product(request: Request, holder: Holder, share: str) -> str:
    # Names are compared without regard to case, as the protocol has it.
    found = [name for name in _products(request, holder) if name == share.lower()]
    if not found:
        raise unknown()
    return found[0]


def _standing(request: Request, holder: Holder, product: str) -> tuple[Held, ...]:
    return catalogue_of(request).standing(holder.recipient, now(), product)


def _current(request: Request, holder: Holder, share: str, schema: str) -> Held:
    """The newest revision of a period that stands; of one that is withdrawn the tombstone answers."""
    catalogue, product, period = catalogue_of(request), _product(request, holder, share), schema.upper()
    found = [held for held in _standing(request, holder, product) if held.edition.period == period]
    if found:
        return found[0]
    editions = catalogue.editions(holder.recipient, now(), product)
    gone = [held.edition.revision for held in editions if held.edition.period == period]
    return catalogue.edition(holder.recipient, product, period, max(gone, default=0), now())


def _found(
    request: Request, holder: Holder, place: tuple[str, str, str], revision: int | None
) -> tuple[Held, TableFacts]:
    share, schema, table = place
    held = _current(request, holder, share, schema)
    if revision is not None:
        one = held.edition
        held = catalogue_of(request).edition(holder.recipient, one.product, one.period, revision, now())
    facts = [facts for facts in manifest_in(held.folder).tables if facts.name == table.lower()]
    if not facts:
        raise unknown()
    return held, facts[0]


def _no_time(name: str) -> DeliveryError:
    return DeliveryError(f"{name} cannot be asked for here", remedy="Ask for a version, which is a revision.")


def _share(name: str) -> dict[str, str]:
    return {"name": name, "id": replies.identity_of(name)}


def _tables(held: Held) -> list[dict[str, str]]:
    product, period = held.edition.product, held.edition.period
    return [
        {
            "name": facts.name,
            "schema": period,
            "share": product,
            "shareId": replies.identity_of(product),
            "id": replies.identity_of(product, period, facts.name),
        }
        for facts in manifest_in(held.folder).tables
    ]
