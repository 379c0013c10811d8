"""Checks what an audience is about to receive, before it becomes visible. Reads the bundle and the release.

Everything in a bundle is read here once more, as its recipients read it, and what it should hold is worked out here
once more from the release: the code that writes bundles has no part in it, so that its slips do not pass their own
check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

import expectations.bundles  # noqa: F401  importing it makes its expectations known
from pipeline.documents import Document
from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.validation.levels import level_name, level_names, totals_of
from pipeline.validation.parts import Part
from pipeline.validation.received import CSV, MANIFEST, PARQUET, SIGNATURE, SUMS, Received, ReceivedTable, rows_of
from pipeline.validation.runs import Subject, run
from pipeline.validation.suites import Parameters, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.validation.workbooks import Shown, agrees, derived_holds, derived_of, sheets_of, shown_in, texts_of
from pipeline.vocabulary import TOTAL_KEY, Audience
from pipeline.workspace import Workspace

# What recipients are promised of every table: its columns before and after its dimensions.
BEFORE: Final = ("period_start", "period_end")
AFTER: Final = (
    "measure",
    "unit",
    "value",
    "value_lo",
    "value_hi",
    "estimate",
    "noise_sd",
    "obs_status",
    "conf_status",
    "is_total",
    "row_kind",
    "revision",
)
_WORKBOOK: Final = "xlsx"
_MOST_ROWS: Final = 100_000  # of a sheet; longer tables are left out of workbooks
_DERIVED: Final = "derived"  # name of the files of shares and indices, which are of no table alone
_RELEASE: Final = "release"  # source of rows beside the formats
_FORMATS: Final = {PARQUET: "Parquet", CSV: "CSV"}
_PLACES: Final = {"in_manifest": "the manifest", "in_description": "the description"} | {
    f"in_{ending}": title for ending, title in _FORMATS.items()
}
# What a manifest says of the bundle, of its privacy, and of what it was made from.
_IDENTITY: Final = ("release", "audience", "period", "period_start", "period_end", "revision", "synthetic")
_PRIVACY: Final = ("unit", "epsilon", "delta", "k")
_DIGESTS: Final = ("specification_sha256", "artefact_sha256", "verdicts_sha256", "candidate_sha256")


@dataclass(frozen=True)
class Approval:
    """What a bundle must carry beside what is in the release.

    Attributes:
        candidate_sha256: Digest of what reviewers approved.
        verdicts_sha256: Digest of the checks that they read.
        public_key: The publisher's, as its file ``minisign.pub`` holds it.
    """

    candidate_sha256: str
    verdicts_sha256: str
    public_key: bytes


@dataclass(frozen=True)
class Written:
    """A bundle that is written and not yet visible.

    Attributes:
        audience: For whom, or for some of whom, it is.
        shelf: Where it will stand.
        folder: Where it lies.
        part: What of the audience's tables it is to show.
    """

    audience: Audience
    shelf: str
    folder: Path
    part: Part = field(default_factory=Part)


def check_bundles(
    workspace: Workspace, release: PrivateRelease, approval: Approval, bundles: Sequence[Written]
) -> Verdicts:
    """Run the suite ``bundle`` on bundles that are written and not yet visible, and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs.
        release: What the bundles are views of.
        approval: Of exactly this release.
        bundles: At least one.

    Returns:
        One verdict a check and bundle. Call ``require`` on it.
    """
    run_name = str(release.key).replace("/", ".")
    if all(bundle.shelf != bundle.audience for bundle in bundles):  # parts that were granted later: a run of their own
        run_name = f"{run_name}.{bundles[0].shelf}"
    every = [one for bundle in bundles for one in subjects(release, approval, bundle)]
    return run(workspace, load_suite("bundle"), release.header.release, run_name, every)


def subjects(release: PrivateRelease, approval: Approval, written: Written) -> list[Subject]:
    """What is checked of one bundle."""
    bundle = _Bundle(release, approval, written.audience, Received.of(written.folder), written.part)
    entitled = [facts.name for facts in bundle.entitled]
    people = {facts.measure for facts in bundle.entitled}
    read = [
        {"table": name, "source": ending, "title": title} for name in entitled for ending, title in _FORMATS.items()
    ]
    parts: dict[str, tuple[pd.DataFrame, Parameters]] = {
        "files": (bundle.files(), {}),
        "tables": (bundle.tables(), {"entitled": entitled, "places": _items(_PLACES), "formats": _items(_FORMATS)}),
        "rows": (
            bundle.rows(),
            {"read": read, "people": [{"people": name} for name in sorted(people)], "k": release.header.k},
        ),
        "texts": (bundle.texts(), {"tables": [{"table": name} for name in (*entitled, _DERIVED)]}),
        "workbook": (bundle.workbook(), {}),
        "derived": (bundle.derived(), {}),
        "levels": (bundle.levels(), {"levels": bundle.entitled_levels}),
        "facts": (bundle.facts(), {}),
    }
    return [
        Subject(part, f"{written.shelf.replace('-', '_')}_{part}", written.shelf, frame, parameters)
        for part, (frame, parameters) in parts.items()
    ]


def _items(titles: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"place": name, "columns": f"columns_{name}", "title": title} for name, title in titles.items()]


@dataclass(frozen=True)
class _Bundle:
    release: PrivateRelease
    approval: Approval
    audience: Audience
    received: Received
    part: Part

    @cached_property
    def entitled(self) -> list[TableFacts]:
        """The tables that are to be there."""
        return self.part.tables_of(self.release, self.audience)

    @cached_property
    def entitled_levels(self) -> list[str]:
        """The levels that these tables show: of every total, each grouping from the total down."""
        shown = {name for facts in self.entitled for total in totals_of(facts) for name in level_names(facts, total)}
        return [_json(level) for level in self.release.header.levels if level_name(level) in shown]

    @cached_property
    def read(self) -> dict[tuple[str, str], ReceivedTable]:
        """By table and format."""
        return {
            (facts.name, ending): self.received.table(facts.name, ending, facts.dimensions, [*BEFORE, *AFTER])
            for facts in self.entitled
            for ending in _FORMATS
        }

    def files(self) -> pd.DataFrame:
        # one row a listed file, and one a file that is there and not listed; but for the manifest and its signature
        manifest, files = self.received.manifest, self.received.files
        listed = [*_dicts(manifest.get("files")), *_dicts([manifest.get("sums")])]
        names = [str(entry.get("path")) for entry in listed]
        strays = sorted({*files, *self.received.sums} - {*names, MANIFEST, SIGNATURE})
        described = {str(one.get("path")): one for one in _dicts(self.received.description.get("resources"))}
        entries = [*zip(names, listed, strict=True), *((name, {}) for name in strays)]
        return pd.DataFrame([self._file(name, entry, described.get(name, {})) for name, entry in entries], dtype=object)

    def _file(self, name: str, entry: Mapping[str, Any], described: Mapping[str, Any]) -> dict[str, object]:
        file = self.received.files.get(name)
        sha256 = file.sha256 if file else None
        stem, _, ending = name.rpartition(".")
        table = self.read.get((stem, ending))
        return {
            "name": name,
            "listed": bool(entry),
            "kind": file.kind if file else "no file",
            "bytes": file.bytes if file else None,
            "listed_bytes": entry.get("bytes"),
            "sha256": sha256,
            "listed_sha256": entry.get("sha256"),
            "summed_sha256": sha256 if name == SUMS else self.received.sums.get(name),  # it does not list itself
            "table_sha256": f"sha256:{sha256}" if ending in (*_FORMATS, _WORKBOOK) else None,
            "described_sha256": described.get("hash"),
            "rows": self._derived_rows(ending) if stem == _DERIVED else len(table.rows) if table else None,
            "listed_rows": entry.get("rows"),
        }

    def tables(self) -> pd.DataFrame:
        # one row a table that is granted, or that anything in the bundle names
        said = {str(one.get("name")): one for one in _dicts(self.received.manifest.get("tables"))}
        resources = _dicts(self.received.description.get("resources"))
        places = {
            "in_manifest": set(said),
            "in_description": {str(one.get("name")) for one in resources if one.get("type") == "table"} - {_DERIVED},
            **{
                f"in_{ending}": {name.removesuffix(f".{ending}") for name in self.received.files if _is(name, ending)}
                - {_DERIVED}
                for ending in _FORMATS
            },
        }
        every = sorted({facts.name for facts in self.entitled}.union(*places.values()))
        rows = [{place: name in named for place, named in places.items()} | self._table(name, said) for name in every]
        return pd.DataFrame(rows, dtype=object)

    def _table(self, name: str, said: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
        facts = next((facts for facts in self.entitled if facts.name == name), None)
        read = {ending: self.read[name, ending] for ending in _FORMATS if facts}
        return {
            "table": name,
            "known": _json(facts) if facts else None,
            "said": _json(said[name]) if name in said else None,
            "columns": ", ".join((*BEFORE, *facts.dimensions, *AFTER)) if facts else None,
            **{f"columns_{ending}": ", ".join(table.columns) for ending, table in read.items()},
            "formulas": read[CSV].formulas if facts else 0,
        }

    def rows(self) -> pd.DataFrame:
        # one row a row of each table, once as it was released and once as it stands in each format
        frames = [self._released(facts).assign(table=facts.name, source=_RELEASE) for facts in self.entitled] + [
            table.rows.assign(table=name, source=ending) for (name, ending), table in self.read.items()
        ]
        there = [frame for frame in frames if len(frame)]
        return pd.concat(there, ignore_index=True) if there else pd.DataFrame(columns=["table", "source"])

    def _released(self, facts: TableFacts) -> pd.DataFrame:
        written = self._is_total(facts).map({True: "true", False: "false"})
        return rows_of(self._extended(facts).assign(is_total=written), facts.dimensions, [*BEFORE, *AFTER])

    def _is_total(self, facts: TableFacts) -> pd.Series[bool]:
        frame = self.part.rows_of(self.release, facts)
        named = (frame[list(facts.dimensions)] != TOTAL_KEY).sum(axis=1)
        return named.lt(len(facts.dimensions))

    def _extended(self, facts: TableFacts) -> pd.DataFrame:
        header, frame = self.release.header, self.part.rows_of(self.release, facts)
        return frame.assign(
            period_start=header.period_start,
            period_end=header.period_end,
            revision=header.revision,
            unit=frame["measure"].map({measure.name: measure.unit for measure in facts.measures}),
            row_kind=frame["kind"],
        )

    def texts(self) -> pd.DataFrame:
        # one column a table: its different texts in all formats; and one for the words and shares of the workbook
        texts = {
            facts.name: set().union(*(self.read[facts.name, one].texts for one in _FORMATS)) for facts in self.entitled
        }
        for name, sheet in self._sheets.items():
            texts[name] = texts.get(name, set()) | texts_of(sheet)
        texts[_DERIVED] = texts.get(_DERIVED, set()).union(*(texts_of(one) for one in self._derived.values()))
        return pd.DataFrame({name: pd.Series(sorted(held), dtype="string") for name, held in texts.items()})

    def workbook(self) -> pd.DataFrame:
        # one row a table: whether the workbook has it as it was released; and one for its sheets of words and of shares
        sheets = self._sheets
        rows = [
            {"table": facts.name, "agrees": agrees(sheets.get(facts.name), self._published(facts))}
            for facts in self.entitled
            if self._fits_a_sheet(facts)
        ]
        shares = sheets.get(_DERIVED)
        held = derived_holds(None if shares is None else _texts(shares), self.entitled, self._shown)
        return pd.DataFrame([*rows, {"table": _DERIVED, "agrees": held}], dtype=object)

    @cached_property
    def _sheets(self) -> dict[str, pd.DataFrame]:
        """The sheets of rows, by table; none where the workbook has others than it should."""
        names = [name for name in self.received.files if _is(name, _WORKBOOK)]
        sheets = sheets_of(self.received.folder / names[0]) if len(names) == 1 else []
        wanted = [*(facts.name for facts in self.entitled if self._fits_a_sheet(facts)), _DERIVED]
        return dict(zip(wanted, sheets[1:], strict=True)) if len(sheets) == len(wanted) + 1 else {}

    def _fits_a_sheet(self, facts: TableFacts) -> bool:
        return len(self.part.rows_of(self.release, facts)) <= _MOST_ROWS

    def derived(self) -> pd.DataFrame:
        # one row a format: whether its shares and indices are those of the numbers that were released
        return pd.DataFrame(
            [
                {"format": ending, "holds": derived_holds(self._derived[ending], self.entitled, self._shown)}
                for ending in _FORMATS
            ],
            dtype=object,
        )

    @cached_property
    def _derived(self) -> dict[str, pd.DataFrame | None]:
        return {ending: derived_of(self.received.folder, ending) for ending in _FORMATS}

    @cached_property
    def _shown(self) -> Shown:
        return shown_in({facts.name: (facts, self.part.rows_of(self.release, facts)) for facts in self.entitled})

    def _derived_rows(self, ending: str) -> int | None:
        found = self._derived.get(ending)
        return None if found is None else len(found)

    def _published(self, facts: TableFacts) -> pd.DataFrame:
        """A table with the columns that recipients read."""
        frame = self._extended(facts).assign(is_total=self._is_total(facts))
        return frame[[*BEFORE, *facts.dimensions, *AFTER]]

    def levels(self) -> pd.DataFrame:
        # one row a level that the manifest names
        named = _dicts(_dict(self.received.manifest.get("privacy")).get("levels"))
        return pd.DataFrame({"level": [_json(level) for level in named]}, dtype="string")

    def facts(self) -> pd.DataFrame:
        # one row a fact: what manifest and description say, and what is so
        manifest, holds = self.received.manifest, self.received.signed_by(self.approval.public_key)
        described = _dict(self.received.description.get("demographics"))
        said = {room: _dict(manifest.get(room)) for room in ("identity", "privacy", "provenance")}
        known = self._known()
        rows = [
            *({"identity": said["identity"].get(name), "own_identity": known[name]} for name in _IDENTITY),
            *(
                {"described": described.get(name), "own_described": known[name]}
                for name in (*_IDENTITY, "epsilon", "k")
            ),
            *({"privacy": said["privacy"].get(name), "own_privacy": known[name]} for name in _PRIVACY),
            *({"digest": said["provenance"].get(name), "approved_digest": known[name]} for name in _DIGESTS),
        ]
        return pd.DataFrame([row | {"signature_holds": holds} for row in rows], dtype=object).replace(
            {float("nan"): None}
        )

    def _known(self) -> dict[str, object]:
        header = self.release.header
        return {name: getattr(header, name) for name in (*_IDENTITY, *_PRIVACY) if name != "audience"} | {
            "audience": str(self.audience),
            "specification_sha256": header.specification_sha256,
            "artefact_sha256": self.release.sha256,
            "verdicts_sha256": self.approval.verdicts_sha256,
            "candidate_sha256": self.approval.candidate_sha256,
        }


def _texts(sheet: pd.DataFrame) -> pd.DataFrame:
    """A sheet whose empty cells are empty texts."""
    return sheet.astype(object).where(sheet.notna(), "")


def _is(name: str, ending: str) -> bool:
    return name.endswith(f".{ending}")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(values: object) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _json(value: Document | Mapping[str, Any]) -> str:
    return json.dumps(value.model_dump(mode="json") if isinstance(value, Document) else value, sort_keys=True)
