"""The addresses of the API: what a recipient receives, for programs. All of it is read, and nothing written, here."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response

from pipeline import __version__
from pipeline.delivery.catalogue import Held, unknown
from pipeline.delivery.downloads import Way
from pipeline.delivery.tokens import Holder, Scope
from pipeline.errors import DeliveryError
from pipeline.portal.access import now
from pipeline.portal.api import answers
from pipeline.portal.api.models import (
    DownloadDetails,
    DownloadList,
    EditionDetails,
    Problem,
    ProductDetails,
    Products,
    Rows,
    TokenDetails,
    TokenList,
)
from pipeline.portal.editions import bundle_of, finder
from pipeline.portal.files import KINDS, file_response, made_response, note_made
from pipeline.portal.holders import catalogue_of, downloads_of, holder_of, tokens_of
from pipeline.portal.signing_keys import key_file_of, key_file_response
from pipeline.publication.derived.across import compared
from pipeline.publication.derived.history import history, history_csv, history_parquet
from pipeline.publication.key_list import KEYS_NAME, KeyList

PREFIX: Final = "/api/v1"
_EDITION: Final = "/products/{product}/editions/{period}/{revision}"
_MOST: Final = 1_000

Reading = Annotated[Holder, Depends(holder_of(Scope.READ))]
ProductName = Annotated[str, Path(description="Name of a product.", max_length=40)]
PeriodName = Annotated[str, Path(description="2026-10-05, 2026-W41 or 2026-10.", max_length=10)]
Number = Annotated[int, Path(description="Number of a revision.", ge=1, le=999_999)]
FileName = Annotated[str, Path(description="Name of a file of the edition.", max_length=100)]
TableName = Annotated[str, Path(description="Name of a table.", max_length=40)]
Form = Annotated[str, Query(description="json, csv or parquet.", max_length=20)]


async def held_of(
    request: Request, holder: Reading, product: ProductName, period: PeriodName, revision: Number
) -> Held:
    """The edition that is asked for, if the recipient may read it.

    What the database says of it is known since the token was looked up: this needs no thread of its own.
    """
    return catalogue_of(request).edition(holder.recipient, product, period, revision, now())


Edition = Annotated[Held, Depends(held_of)]
_PROBLEM: Final = {"model": Problem, "content": {"application/problem+json": {}}}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {**_PROBLEM, "description": "A parameter is none that this address takes."},
    401: {**_PROBLEM, "description": "No token, or one that opens nothing."},
    403: {**_PROBLEM, "description": "The token opens something else."},
    404: {**_PROBLEM, "description": "Not published for who asks."},
    405: {**_PROBLEM, "description": "Asked in another way than it is made for."},
    410: {**_PROBLEM, "description": "Withdrawn."},
    429: {**_PROBLEM, "description": "Too many tokens that open nothing."},
}


def router() -> APIRouter:
    """The routes of the API."""
    routes = APIRouter(prefix=PREFIX, responses=_PROBLEMS)
    for place, answer, model in (
        ("/products", products, Products),
        ("/products/{product}", product_details, ProductDetails),
        ("/products/{product}/latest", latest, EditionDetails),
        (_EDITION, edition, EditionDetails),
        (f"{_EDITION}/tables/{{table}}", table_rows, Rows),
        (f"{_EDITION}/tables/{{table}}/changes", table_changes, Rows),
        (f"{_EDITION}/files/{{name}}", file, None),
        ("/products/{product}/history", product_history, Rows),
        ("/keys", keys, KeyList),
        ("/keys/{key_file}", public_keys, None),
        ("/downloads", own_downloads, DownloadList),
        ("/tokens", own_tokens, TokenList),
    ):
        methods = ["GET", "HEAD"] if model is None else ["GET"]
        routes.add_api_route(place, answer, methods=methods[:1], response_model=model, summary=_summary(answer))
        if model is None:
            routes.add_api_route(place, answer, methods=["HEAD"], include_in_schema=False)
    routes.add_api_route("/openapi.json", schema, methods=["GET"], include_in_schema=False)
    return routes


def _summary(answer: Any) -> str:
    return str(answer.__doc__).split("\n", maxsplit=1)[0].rstrip(".")


def schema(_holder: Reading) -> Response:
    """The schema of the API, OpenAPI 3.1."""
    described = get_openapi(
        title="Demographics for recipients",
        version=__version__,
        description="What a recipient receives: aggregates under k-anonymity and differential privacy.",
        routes=router().routes,
    )
    described["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any name; the token as password."},
    }
    described["security"] = [{"bearer": []}, {"basic": []}]
    return JSONResponse(described)


def products(request: Request, holder: Reading) -> Products:
    """What the recipient receives."""
    catalogue, when = catalogue_of(request), now()
    each = (
        answers.product_of(
            name,
            catalogue.editions(holder.recipient, when, name),
            catalogue.standing(holder.recipient, when, name),
        )
        for name in catalogue.products(holder.recipient, when)
    )
    return Products(recipient=holder.recipient, products=tuple(each))


def product_details(request: Request, holder: Reading, product: ProductName) -> ProductDetails:
    """One product, with all its editions."""
    catalogue, when = catalogue_of(request), now()
    if product not in catalogue.products(holder.recipient, when):
        raise unknown()
    editions = catalogue.editions(holder.recipient, when, product)
    return answers.details_of(product, editions, catalogue.standing(holder.recipient, when, product))


def latest(request: Request, response: Response, holder: Reading, product: ProductName) -> EditionDetails:
    """The newest edition of a product that stands."""
    standing = catalogue_of(request).standing(holder.recipient, now(), product)
    if not standing:
        raise unknown()
    told = _edition(request, standing[-1])
    response.headers["Content-Location"] = f"{PREFIX}{told.edition.path}"
    return told


def edition(request: Request, held: Edition) -> EditionDetails:
    """One edition: how it was made, its tables and its files."""
    return _edition(request, held)


def table_rows(
    request: Request,
    holder: Reading,
    held: Edition,
    table: TableName,
    format: Form = "json",  # noqa: A002  the name in the address
) -> Any:
    """The rows of one table."""
    _require_form(format)
    bundle = bundle_of(held)
    if table not in bundle.tables:
        raise unknown()
    if format != "json":
        return file_response(request, held, f"{table}.{format}", Way.API, holder.token)
    note_made(request, [held], f"{table}.parquet", Way.API, holder.token)
    return answers.rows_of(bundle.tables[table])


def table_changes(request: Request, holder: Reading, held: Edition, table: TableName) -> Rows:
    """What changed against the period before and the same period a year before, with a word on the noise."""
    bundle, product = bundle_of(held), held.edition.product
    if table not in bundle.tables:
        raise unknown()
    standing = catalogue_of(request).standing(holder.recipient, now(), product)
    found = compared(bundle, finder(standing), table)
    others = [other for other in standing if other.edition.period in set(found["other_period"])]
    note_made(request, [held, *others], f"{table}.changes", Way.API, holder.token)
    return answers.rows_of(found)


def file(request: Request, holder: Reading, held: Edition, name: FileName) -> Response:
    """One file of an edition, as it was signed."""
    return file_response(request, held, name, Way.API, holder.token)


def product_history(
    request: Request,
    holder: Reading,
    product: ProductName,
    table: Annotated[str, Query(max_length=40, description="Of one table; of all by default.")] = "",
    format: Form = "json",  # noqa: A002  the name in the address
) -> Any:
    """All periods of a product in one table: of each the newest revision that stands."""
    standing = catalogue_of(request).standing(holder.recipient, now(), product)
    _require_form(format)
    if not standing:
        raise unknown()
    bundles = [bundle_of(held) for held in standing]
    if table and not any(table in bundle.tables for bundle in bundles):
        raise unknown()
    frame = history(bundles, table or None)
    name = f"{product}-{table or 'all'}-history.{format if format != 'json' else 'parquet'}"
    note_made(request, standing, name, Way.API, holder.token)
    if format == "json":
        return answers.rows_of(frame)
    made = history_csv(frame) if format == "csv" else history_parquet(frame)
    digest = hashlib.sha256(made).hexdigest()
    return made_response(request, made, KINDS[f".{format}"], name, digest)


def keys(request: Request, _holder: Reading) -> KeyList:
    """The publisher's keys, the current one last."""
    return KeyList.from_bytes(key_file_of(request, KEYS_NAME))


def public_keys(request: Request, _holder: Reading, key_file: FileName) -> Response:
    """The file minisign.pub, keys.json or keys.json.minisig, byte by byte."""
    return key_file_response(request, key_file)


def own_downloads(request: Request, holder: Reading) -> DownloadList:
    """What the recipient downloaded lately."""
    noted = downloads_of(request).newest(holder.recipient, _MOST)
    each = tuple(
        DownloadDetails(
            at=one.at,
            way=one.download.way.value,
            token=one.download.token,
            product=one.download.product,
            period=one.download.period,
            revision=one.download.revision,
            file=one.download.file,
            part=one.download.part,
        )
        for one in noted
    )
    return DownloadList(downloads=each)


def own_tokens(request: Request, holder: Reading) -> TokenList:
    """The recipient's tokens, without their secrets."""
    when = now()
    each = tuple(
        TokenDetails(
            number=token.number,
            scopes=tuple(sorted(token.scopes)),
            label=token.label,
            made=token.made,
            expires=token.expires,
            living=token.is_living(when),
        )
        for token in tokens_of(request).listed(holder.recipient)
    )
    return TokenList(tokens=each)


def _edition(request: Request, held: Held) -> EditionDetails:
    editions = catalogue_of(request).editions(held.recipient.name, now(), held.edition.product)
    return answers.edition_of(held, bundle_of(held), editions)


def _require_form(form: str) -> None:
    if form not in answers.FORMATS:
        raise DeliveryError(
            f"a format must be one of {', '.join(answers.FORMATS)}",
            value=repr(form[:20]),
            remedy="A workbook is among the files of the edition.",
        )
