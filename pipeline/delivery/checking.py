"""Whether entitlements fit what is released: no recipient is given more than its audience receives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from pipeline.delivery.entitlements import Entitlements, Grant, Recipient
from pipeline.errors import ConfigurationError
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, BoundTable, ReleaseSpecification, bind

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_STORES = frozenset({"s3", "sftp", "file"})


def require_fitting(
    entitlements: Entitlements, specifications: Sequence[ReleaseSpecification], site: SiteFile
) -> Entitlements:
    """Entitlements that give nothing beyond what the specifications grant, and nothing that does not exist.

    Raises:
        ConfigurationError: Something does not fit; everything that does not is named.
        SpecificationError: A specification does not fit the site.
    """
    bound = {one.release: bind(one, site) for one in specifications}
    found = [problem for recipient in entitlements.recipients for problem in _problems(recipient, bound)]
    stores = [store.rstrip("/") for recipient in entitlements.recipients for store in recipient.stores]
    found += [f"{store} is named twice" for store in sorted(set(stores)) if stores.count(store) > 1]
    if found:
        raise ConfigurationError(
            f"entitlements must give what the specifications grant: {'; '.join(found)}",
            remedy="Correct entitlements.yaml; demographics entitlements check reads it again.",
        )
    return entitlements


def _problems(recipient: Recipient, bound: Mapping[str, BoundSpecification]) -> Iterator[str]:
    for product, grant in recipient.receives.items():
        place = f"{recipient.name}, {product}"
        one = bound.get(product)
        if one is None:
            yield f"{place}: there is no such product, use some of {', '.join(sorted(bound))}"
            continue
        granted = one.specification.audiences.get(recipient.audience)
        if granted is None:
            yield f"{place}: {recipient.audience} receives nothing of it"
            continue
        tables = {table.name: table for table in one.tables if table.name in granted}
        yield from (f"{place}: {problem}" for problem in _of_grant(grant, tables))
    if recipient.webhook and not _is_webhook(recipient.webhook):
        yield f"{recipient.name}: a webhook must be an https address without a name or password in it"
    for store in recipient.stores:
        if not _is_store(store):
            yield f"{recipient.name}: a store must be s3://bucket/x, sftp://host/x or file:///x, without a password"
    if recipient.email and not is_address(recipient.email):
        yield f"{recipient.name}: email must be one address"


def _of_grant(grant: Grant, tables: Mapping[str, BoundTable]) -> Iterator[str]:
    for name in (*grant.tables, *grant.columns):
        if name not in tables:
            yield f"the audience has no table {name}"
    for name, columns in grant.columns.items():
        if name in tables:
            yield from _of_columns(columns, tables[name])
    yield from _of_rows(grant, tables)


def _of_rows(grant: Grant, tables: Mapping[str, BoundTable]) -> Iterator[str]:
    if grant.totals and not grant.rows:
        yield "totals say something only beside rows"
    known = {one.name: one for table in tables.values() for one in table.dimensions}
    shown = {name: _dimensions(grant, table) for name, table in tables.items() if name in (grant.tables or tables)}
    for dimension, keys in grant.rows.items():
        if not any(dimension in names for names in shown.values()):
            yield f"rows: no table that is shown has {dimension}"
        elif (unknown := sorted(set(keys) - set(known[dimension].keys))) and not known[dimension].is_open:
            yield f"rows: {dimension} has no {', '.join(unknown)}"
    if not any(set(grant.rows) <= set(names) or name in grant.tables for name, names in shown.items()):
        yield "rows: no table has all of these dimensions, so that nothing is shown"


def _dimensions(grant: Grant, table: BoundTable) -> list[str]:
    names = [dimension.name for dimension in table.dimensions]
    columns = grant.columns.get(table.name)
    return names if columns is None else [name for name in names if name in columns]


def _of_columns(columns: Sequence[str], table: BoundTable) -> Iterator[str]:
    dimensions = [dimension.name for dimension in table.dimensions]
    measures = {measure.name for measure in table.measures}
    shown = [name for name in dimensions if name in columns]
    if unknown := sorted(set(columns) - set(dimensions) - measures):
        yield f"{table.name} has no column {', '.join(unknown)}"
    if not shown or shown != dimensions[: len(shown)]:
        yield f"{table.name}: its dimensions are shown from the first on, {', '.join(dimensions)}"
    people = table.measures[0].name
    for mean in table.means:
        lacking = sorted({mean.numerator, mean.denominator} - {*columns, people})
        if mean.name in columns and lacking:
            yield f"{table.name}: {mean.name} is shown with what it is made of, {', '.join(lacking)}"


def _is_webhook(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = parts.username is None and not parts.fragment and address.isascii() and address.isprintable()
    return plain and bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))


def _is_store(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    named = bool(parts.hostname) is not (parts.scheme == "file") and bool(parts.path.strip("/"))
    return parts.scheme in _STORES and named and parts.password is None and ".." not in parts.path.split("/")


def is_address(text: str) -> bool:
    """Whether a text is one address for e-mail, and nothing else."""
    name, _, host = text.partition("@")
    return (
        bool(name and "." in host)
        and "@" not in host
        and text.isascii()
        and text.isprintable()
        and not set(text) & set(' \t\r\n,;<>"')
    )
