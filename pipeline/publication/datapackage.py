"""``datapackage.json``: the tables described for programs, by the Data Package standard, version 2.

Source of the rules: https://datapackage.org/standard/data-package/ and the standards for resources and schemas there.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from pipeline.publication.derived.files import DERIVED
from pipeline.publication.derived.within import STATISTICS, columns_of, dimensions_of
from pipeline.publication.encoding import escape
from pipeline.publication.manifest import FileEntry, Identity, json_bytes
from pipeline.publication.views import AudienceView, column_order, means
from pipeline.publication.workbook import workbook_name
from pipeline.release.artefact import TableFacts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

DATAPACKAGE_NAME: Final = "datapackage.json"
_PROFILE: Final = "https://datapackage.org/profiles/2.0/datapackage.json"

Descriptor = dict[str, object]

_REQUIRED: Final[Descriptor] = {"required": True}
_MEDIA_TYPES: Final = {
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_DERIVED_TITLE: Final = "Shares and indices"
_COUNT: Final[Descriptor] = {"minimum": 0}
# Columns other than dimensions: type, what it says, constraints.
_FIELDS: Final[dict[str, tuple[str, str, Descriptor]]] = {
    "period_start": ("date", "First day of the period, inclusive", _REQUIRED),
    "period_end": ("date", "First day after the period, exclusive", _REQUIRED),
    "measure": ("string", "What is told of the group", _REQUIRED),
    "unit": ("string", "What one of it is", _REQUIRED),
    "value": ("integer", "Number with noise, rounded, or the quotient of two; empty where withheld", _COUNT),
    "value_lo": ("integer", "Lower end of the 95 % interval", _COUNT),
    "value_hi": ("integer", "Upper end of the 95 % interval", _COUNT),
    "estimate": (
        "number",
        "Best estimate before rounding, from all counts that speak of the group; for sums over many rows",
        {},
    ),
    "noise_sd": ("number", "Standard deviation of the noise in the estimate", _COUNT),
    "obs_status": (
        "string",
        "SDMX: A normal value, U low reliability (near the threshold, rather too high), Q withheld",
        {**_REQUIRED, "enum": ["A", "U", "Q"]},
    ),
    "conf_status": (
        "string",
        "SDMX: F free, C under the threshold, D folded to protect another",
        {**_REQUIRED, "enum": ["F", "C", "D"]},
    ),
    "is_total": ("boolean", "True where a dimension is 'all'", _REQUIRED),
    "row_kind": ("string", "total, group or remainder", {**_REQUIRED, "enum": ["total", "group", "remainder"]}),
    "revision": ("integer", "Revision of the release", _REQUIRED),
}


def datapackage_bytes(view: AudienceView, identity: Identity, issued: str, entries: tuple[FileEntry, ...]) -> bytes:
    """The descriptor of a bundle.

    Args:
        view: The tables it describes.
        identity: Which bundle it is.
        issued: When it was approved, ISO 8601.
        entries: The files of the tables and of what is derived from them, ``<table>.csv`` and ``<table>.parquet``, and
            the workbook.
    """
    header = view.header
    files = {entry.path: entry for entry in entries}
    titles = {facts.name: facts.title for facts in header.tables} | {DERIVED: _DERIVED_TITLE}
    schemas = {facts.name: _schema(facts) for facts in header.tables} | {DERIVED: _derived_schema(header.tables)}
    csvs = [_csv_resource(name, title, schemas[name], files[f"{name}.csv"]) for name, title in titles.items()]
    others = [_file_resource(f"{name}-parquet", title, files[f"{name}.parquet"]) for name, title in titles.items()]
    book = workbook_name(header)
    others += [_file_resource("workbook", "All of it as a workbook", files[book])] if book in files else []
    return json_bytes(
        {
            "$schema": _PROFILE,
            "name": f"{header.release}-{header.period}-r{header.revision}-{identity.audience}".lower().replace(
                "_", "-"
            ),
            "title": f"{header.title}, {header.period}",
            "description": header.description,
            "version": f"{header.period}-r{header.revision}",
            "created": issued,
            "contributors": [{"title": header.publisher or header.site, "roles": ["publisher"]}],
            "keywords": ["aggregated", "differential privacy", str(header.population)],
            "resources": [*csvs, *others],
            "demographics": identity.model_dump(mode="json") | {"epsilon": header.epsilon, "k": header.k},
        }
    )


def _csv_resource(name: str, title: str, schema: Descriptor, entry: FileEntry) -> Descriptor:
    return {
        "name": name,
        "title": title,
        "type": "table",
        "path": entry.path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": entry.bytes,
        "hash": f"sha256:{entry.sha256}",
        "rows": entry.rows,
        "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True, "header": True},
        "schema": schema,
    }


def _schema(facts: TableFacts) -> Descriptor:
    return {
        "fields": [field_of(name, facts) for name in column_order(facts.dimensions)],
        "primaryKey": [*facts.dimensions, "measure"],
        "missingValues": [""],
    }


def _derived_schema(tables: tuple[TableFacts, ...]) -> Descriptor:
    dimensions = dimensions_of(tables)
    titles = {name: title for one in tables for name, title in zip(one.dimensions, one.dimension_titles, strict=True)}
    own: dict[str, Descriptor] = {
        **{name: {"name": name, "title": titles[name], "type": "string"} for name in dimensions},
        "table": {"name": "table", "type": "string", "description": "Of which table", "constraints": _REQUIRED},
        "statistic": {
            "name": "statistic",
            "type": "string",
            "description": "What is derived: a share as a fraction, or an index, 100 for the average",
            "constraints": {**_REQUIRED, "enum": list(STATISTICS)},
        },
        "measure": {"name": "measure", "type": "string", "description": "Of which measure", "constraints": _REQUIRED},
    }
    known = {name: {"name": name, "type": kind, "description": said} for name, (kind, said, _) in _FIELDS.items()}
    numbers = {
        name: known[name] | {"type": "number", "constraints": _COUNT} for name in ("value", "value_lo", "value_hi")
    }
    numbers["value"] |= {"description": "Share or index"}
    fields = known | numbers | own
    return {
        "fields": [fields[name] for name in columns_of(tables)],
        "primaryKey": ["table", *dimensions, "measure", "statistic"],
        "missingValues": [""],
    }


def _file_resource(name: str, title: str, entry: FileEntry) -> Descriptor:
    # Described as a file, since its schema is inside it.
    ending = entry.path.rpartition(".")[2]
    return {
        "name": name,
        "title": title,
        "type": "file",
        "path": entry.path,
        "format": ending,
        "mediatype": _MEDIA_TYPES[ending],
        "bytes": entry.bytes,
        "hash": f"sha256:{entry.sha256}",
    }


def field_of(name: str, facts: TableFacts) -> Descriptor:
    """One column of a table, as a Table Schema describes it."""
    if name in facts.dimensions:
        return _dimension(name, facts)
    kind, description, constraints = _FIELDS[name]
    field: Descriptor = {"name": name, "type": kind, "description": description}
    if name in ("measure", "unit"):
        found = {"measure": [one.name for one in facts.measures], "unit": [one.unit for one in facts.measures]}[name]
        constraints = constraints | {"enum": list(dict.fromkeys(found))}
    if name == "measure":
        field["categories"] = [{"value": one.name, "label": one.title} for one in facts.measures]
    if name in ("value", "value_lo", "value_hi") and means(facts):
        field["type"] = "number"
    return {**field, "constraints": constraints} if constraints else field


def _dimension(name: str, facts: TableFacts) -> Descriptor:
    place = facts.dimensions.index(name)
    field: Descriptor = {"name": name, "title": facts.dimension_titles[place], "type": "string"}
    if name in facts.private:
        said = "Its keys are on no public list: only those of groups that were released stand here"
        return {**field, "description": said, "constraints": _REQUIRED}
    listed = pd.Series([*facts.keys[place], TOTAL_KEY, REMAINDER_KEY], dtype="string").drop_duplicates()
    return {**field, "constraints": {**_REQUIRED, "enum": escape(listed).tolist()}}
