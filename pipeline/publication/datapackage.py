"""``datapackage.json``: the tables described for programs, by the Data Package standard, version 2.

Source of the rules: https://datapackage.org/standard/data-package/ and the standards for resources and schemas there.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from pipeline.publication.encoding import escape
from pipeline.publication.manifest import FileEntry, Identity, json_bytes
from pipeline.publication.views import AudienceView, column_order
from pipeline.release.artefact import TableFacts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

DATAPACKAGE_NAME: Final = "datapackage.json"
_PROFILE: Final = "https://datapackage.org/profiles/2.0/datapackage.json"

Descriptor = dict[str, object]

_REQUIRED: Final[Descriptor] = {"required": True}
_COUNT: Final[Descriptor] = {"minimum": 0}
# Columns other than dimensions: type, what it says, constraints.
_FIELDS: Final[dict[str, tuple[str, str, Descriptor]]] = {
    "period_start": ("date", "First day of the period, inclusive", _REQUIRED),
    "period_end": ("date", "First day after the period, exclusive", _REQUIRED),
    "measure": ("string", "What is counted", _REQUIRED),
    "unit": ("string", "Whom it is counted in", _REQUIRED),
    "value": ("integer", "Count with noise, rounded; empty where withheld", _COUNT),
    "value_lo": ("integer", "Lower end of the 95 % interval", _COUNT),
    "value_hi": ("integer", "Upper end of the 95 % interval", _COUNT),
    "estimate": ("number", "Count with noise before rounding; for sums and averages over many rows", {}),
    "noise_sd": ("number", "Standard deviation of the noise in the estimate", _COUNT),
    "obs_status": ("string", "SDMX: A normal value, Q withheld", {**_REQUIRED, "enum": ["A", "Q"]}),
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
        entries: The files of the tables, ``<table>.csv`` and ``<table>.parquet``.
    """
    header = view.header
    files = {entry.path: entry for entry in entries}
    csvs = [_csv_resource(facts, files[f"{facts.name}.csv"]) for facts in header.tables]
    parquets = [_parquet_resource(facts, files[f"{facts.name}.parquet"]) for facts in header.tables]
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
            "resources": [*csvs, *parquets],
            "demographics": identity.model_dump(mode="json") | {"epsilon": header.epsilon, "k": header.k},
        }
    )


def _csv_resource(facts: TableFacts, entry: FileEntry) -> Descriptor:
    return {
        "name": facts.name,
        "title": facts.title,
        "type": "table",
        "path": entry.path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": entry.bytes,
        "hash": f"sha256:{entry.sha256}",
        "rows": entry.rows,
        "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True, "header": True},
        "schema": {
            "fields": [_field(name, facts) for name in column_order(facts.dimensions)],
            "primaryKey": list(facts.dimensions),
            "missingValues": [""],
        },
    }


def _parquet_resource(facts: TableFacts, entry: FileEntry) -> Descriptor:
    # The canonical form; described as a file, since its schema is inside it.
    return {
        "name": f"{facts.name}-parquet",
        "title": facts.title,
        "type": "file",
        "path": entry.path,
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "bytes": entry.bytes,
        "hash": f"sha256:{entry.sha256}",
    }


def _field(name: str, facts: TableFacts) -> Descriptor:
    constraints: Descriptor
    if name in facts.dimensions:
        place = facts.dimensions.index(name)
        listed = pd.Series([*facts.keys[place], TOTAL_KEY, REMAINDER_KEY], dtype="string").drop_duplicates()
        constraints = {**_REQUIRED, "enum": escape(listed).tolist()}
        return {
            "name": name,
            "title": facts.dimension_titles[place],
            "type": "string",
            "constraints": constraints,
        }
    kind, description, constraints = _FIELDS[name]
    field: Descriptor = {"name": name, "type": kind, "description": description}
    return {**field, "constraints": constraints} if constraints else field
