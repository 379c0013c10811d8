"""Faults planted in a written bundle, by the name of the check that is meant to find each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minisign
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.vocabulary import Audience

Breakage = Callable[[Path], object]
Document = dict[str, Any]


@dataclass(frozen=True)
class As:
    """No fault in the files: they lie where another audience's should."""

    audience: Audience

    def __call__(self, folder: Path) -> None:
        assert folder.is_dir()


def _document(name: str, change: Callable[[Document], object]) -> Breakage:
    def breaks(folder: Path) -> None:
        content = json.loads((folder / name).read_bytes())
        before = json.dumps(content)
        change(content)
        assert json.dumps(content) != before
        (folder / name).write_text(json.dumps(content), "utf-8")

    return breaks


def _manifest(change: Callable[[Document], object]) -> Breakage:
    return _document("manifest.json", change)


def _says(room: str, **changes: Any) -> Breakage:
    return _manifest(lambda manifest: manifest[room].update(changes))


def _describes(**changes: Any) -> Breakage:
    return _document("datapackage.json", lambda document: document["demographics"].update(changes))


def _text(name: str, before: str, after: str) -> Breakage:
    def breaks(folder: Path) -> None:
        content = (folder / name).read_bytes()
        assert before.encode() in content
        (folder / name).write_bytes(content.replace(before.encode(), after.encode(), 1))

    return breaks


def _parquet(table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Breakage:
    def breaks(folder: Path) -> None:
        path = folder / f"{table}.parquet"
        before = pq.read_table(path)
        frame = before.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        changed = pa.Table.from_pandas(change(frame), preserve_index=False)
        assert not changed.equals(before)
        pq.write_table(changed, path)

    return breaks


def _put(table: str, place: int, **values: Any) -> Breakage:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        for column, value in values.items():
            frame.loc[place, column] = value
        return frame

    return _parquet(table, change)


def _sheet(title: str, cell: str, value: object) -> Breakage:
    def breaks(folder: Path) -> None:
        (path,) = folder.glob("*.xlsx")
        book = openpyxl.load_workbook(path)
        assert book[title][cell].value != value
        book[title][cell].value = value
        book.save(path)

    return breaks


def _no_sheet(title: str) -> Breakage:
    def breaks(folder: Path) -> None:
        (path,) = folder.glob("*.xlsx")
        book = openpyxl.load_workbook(path)
        del book[title]
        book.save(path)

    return breaks


def _no_book(folder: Path) -> None:
    (path,) = folder.glob("*.xlsx")
    path.write_bytes(b"PK")


def _derived(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Breakage:
    def breaks(folder: Path) -> None:
        path = folder / "derived.parquet"
        before = pd.read_parquet(path)
        after = change(before.copy())
        assert not after.equals(before)
        after.to_parquet(path)

    return breaks


def _written(name: str, content: bytes = b"x") -> Breakage:
    return lambda folder: (folder / name).write_bytes(content)


def _gone(name: str) -> Breakage:
    return lambda folder: (folder / name).unlink()


def _appended(name: str) -> Breakage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b" ")


def _linked(name: str) -> Breakage:
    def breaks(folder: Path) -> None:
        elsewhere = folder.with_name("elsewhere")
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(elsewhere)

    return breaks


def _folder_instead(name: str) -> Breakage:
    def breaks(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return breaks


def _signed_by_another(folder: Path) -> None:
    signature = minisign.KeyPair.generate().secret_key.sign((folder / "manifest.json").read_bytes())
    (folder / "manifest.json.minisig").write_bytes(bytes(signature) + b"\n")


def _drop(room: str, place: int) -> Callable[[Document], object]:
    return lambda document: document[room].pop(place)


def _level(change: Callable[[list[Document]], object]) -> Breakage:
    return _manifest(lambda manifest: change(manifest["privacy"]["levels"]))


_OTHER = "0" * 64
_UNDER = {"value": 3, "value_lo": 3, "value_hi": 3}
# Row 2 of countries is Germany, row 1 is withheld.
_GERMANY = "DE,people,visitors,1880"

BREAKAGES: Mapping[str, tuple[Breakage, ...]] = {
    "files.expect_column_values_to_be_in_set.listed": (
        _written("notes.md"),
        _written(".hidden"),
        lambda folder: (folder / "more").mkdir(),
        _manifest(_drop("files", 0)),
        lambda folder: (folder / "SHA256SUMS").open("a").write(f"{_OTHER}  more.csv\n"),
        _written("manifest.json", b"[1]"),
    ),
    "files.expect_column_values_to_be_unique.name": (
        _manifest(lambda manifest: manifest["files"].append(manifest["files"][0])),
    ),
    "files.expect_column_values_to_be_in_set.kind": (
        _linked("README.md"),
        _folder_instead("README.md"),
        _gone("README.md"),
        _written("macro.xlsm"),
    ),
    "files.expect_column_pair_values_to_be_equal.bytes=listed_bytes": (
        _gone("countries.csv"),
        _appended("countries.csv"),
        _gone("SHA256SUMS"),
        _manifest(lambda manifest: manifest["files"][0].update(bytes=1)),
    ),
    "files.expect_column_pair_values_to_be_equal.sha256=listed_sha256": (
        _text("countries.csv", _GERMANY, "DE,people,visitors,1881"),
        _text("report.html", "<html", "<HTML"),
        _appended("SHA256SUMS"),
        _manifest(lambda manifest: manifest["files"][-1].update(sha256=_OTHER)),
    ),
    "files.expect_column_pair_values_to_be_equal.sha256=summed_sha256": (
        _text("SHA256SUMS", "README.md", "READYOU.md"),
        lambda folder: (folder / "SHA256SUMS").write_text(f"{_OTHER}  README.md\n"),
        _appended("README.md"),
    ),
    "files.expect_column_pair_values_to_be_equal.table_sha256=described_sha256": (
        _document("datapackage.json", lambda document: document["resources"][0].update(hash=f"sha256:{_OTHER}")),
        _document("datapackage.json", _drop("resources", -1)),
        _written("datapackage.json"),
    ),
    "files.expect_column_pair_values_to_be_equal.rows=listed_rows": (
        _manifest(lambda manifest: manifest["files"][0].update(rows=7)),
        _parquet("systems", lambda frame: frame.iloc[:-1]),
        _written("systems.csv", b""),
    ),
    "tables.expect_column_distinct_values_to_equal_set.table": (
        As(Audience.AFFILIATE),
        As(Audience.ADVERTISER),
        _written("by_person.parquet"),
        _written("by_person.csv"),
        _manifest(lambda manifest: manifest["tables"].append({"name": "by_person"})),
    ),
    "tables.expect_column_values_to_be_in_set.places": (
        _gone("systems.csv"),
        _gone("systems.parquet"),
        _manifest(_drop("tables", 0)),
        _document("datapackage.json", _drop("resources", 0)),
    ),
    "tables.expect_column_pair_values_to_be_equal.said=known": (
        _manifest(lambda manifest: manifest["tables"][0]["keys"][0].append("XX")),
        _manifest(lambda manifest: manifest["tables"][1].update(max_groups=9)),
    ),
    "tables.expect_column_pair_values_to_be_equal.formats": (
        _parquet("countries", lambda frame: frame.assign(person="a")),
        _parquet("countries", lambda frame: frame.drop(columns="noise_sd")),
        _parquet("countries", lambda frame: frame[frame.columns[::-1]]),
        _text("countries.csv", ",unit,", ",units,"),
        _written("countries.csv", b"\xff\xfe\x00"),
    ),
    "tables.expect_column_values_to_be_in_set.formulas": (
        _text("sections.csv", "'=HYPERLINK(1)", "=HYPERLINK(1)"),
        _text("sections.csv", "'-shop", "-shop"),
    ),
    "rows.expect_rows_to_read_as_released.read": (
        _text("countries.csv", _GERMANY, "DE,people,visitors,1881"),
        _text("countries.csv", "DE,people", "FR,people"),
        _text("systems.csv", "true", "false"),
        _text("sections.csv", "2026-10-05", "2026-10-06"),
        _put("countries", 2, value=1881),
        _put("countries", 1, value=49),
        _put("countries", 2, value=None),
        _put("countries", 2, noise_sd=2.0),
        _put("systems", 3, operating_system="Windows"),
        _put("systems", 3, revision=2),
        _put("systems", 3, is_total=True),
        _put("sections", 1, unit="visits"),
        _parquet("systems", lambda frame: frame.iloc[:-1]),
        _parquet("systems", lambda frame: frame.iloc[::-1]),
        _parquet("systems", lambda frame: frame.iloc[:0]),
        _parquet("systems", lambda frame: frame.astype({"value": "str"})),
        _gone("countries.parquet"),
        _written("countries.parquet", b"PAR1"),
        _written("sections.csv", b""),
    ),
    "rows.expect_people_to_reach_the_minimum.people": (
        _put("countries", 2, **_UNDER),
        _text("countries.csv", _GERMANY, "DE,people,visitors,49"),
        _text("sections.csv", "people in groups,visitors,1000", "people in groups,visitors,10"),
    ),
    "workbook.expect_column_values_to_be_in_set.agrees": (
        _sheet("countries", "F4", 1881),
        _sheet("countries", "F4", "1880"),
        _sheet("countries", "C4", "FR"),
        _sheet("countries", "A4", "2026-10-06"),
        _sheet("countries", "Q4", "more"),
        _sheet("derived", "I2", 0.123456),
        _no_sheet("systems"),
        _no_sheet("derived"),
        _no_book,
        lambda folder: next(folder.glob("*.xlsx")).unlink(),
    ),
    "derived.expect_column_values_to_be_in_set.holds": (
        _derived(lambda frame: frame.assign(value=frame["value"] * 1.01)),
        _derived(lambda frame: frame.assign(value_lo=frame["value_hi"] + 1)),
        _derived(lambda frame: frame.assign(statistic="growth")),
        _derived(lambda frame: frame.assign(table="by_person")),
        _derived(lambda frame: frame.assign(country="FR")),
        _text("derived.csv", "share of all,", "index,"),
        _written("derived.csv", b"x"),
        _gone("derived.parquet"),
    ),
    "texts.expect_column_values_to_hold_no_personal_data.tables": (
        _put("countries", 2, country="jane.doe@example.org"),
        _put("sections", 2, section="203.0.113.9"),
        _put("systems", 2, unit="+49 30 1234567"),
        _parquet("systems", lambda frame: frame.rename(columns={"unit": "unit of jane.doe@example.org"})),
        _parquet("systems", lambda frame: frame.assign(card=4_012_888_888_881_881)),
        _text("countries.csv", "DE,people", "4012 8888 8888 1881,people"),
        _sheet("countries", "C4", "jane.doe@example.org"),
        _derived(lambda frame: frame.assign(measure="jane.doe@example.org")),
    ),
    "levels.expect_column_distinct_values_to_equal_set.level": (
        _level(lambda levels: levels[0].update(scale=0.1)),
        _level(lambda levels: levels[0].update(threshold=1)),
        _level(lambda levels: levels.pop()),
        _level(lambda levels: levels.append(levels[0] | {"table": "by_person"})),
        As(Audience.RESELLER),
    ),
    "facts.expect_column_values_to_be_in_set.signature_holds": (
        _appended("manifest.json"),
        _gone("manifest.json.minisig"),
        _written("manifest.json.minisig"),
        _gone("manifest.json"),
        _signed_by_another,
    ),
    "facts.expect_column_pair_values_to_be_equal.identity=own_identity": (
        As(Audience.AFFILIATE),
        _says("identity", release="other"),
        _says("identity", audience="reseller"),
        _says("identity", period="2026-W42"),
        _says("identity", period_start="2026-10-06"),
        _says("identity", period_end="2026-10-13"),
        _says("identity", revision=2),
        _says("identity", synthetic=False),
        _manifest(lambda manifest: manifest.pop("identity")),
    ),
    "facts.expect_column_pair_values_to_be_equal.described=own_described": (
        As(Audience.AFFILIATE),
        _describes(audience="reseller"),
        _describes(period="2026-W42"),
        _describes(revision=2),
        _describes(epsilon="2"),
        _describes(k=20),
        _document("datapackage.json", lambda document: document.pop("demographics")),
    ),
    "facts.expect_column_pair_values_to_be_equal.privacy=own_privacy": (
        _says("privacy", epsilon="0.1"),
        _says("privacy", delta="1e-09"),
        _says("privacy", k=100),
        _says("privacy", unit="one visitor in one day"),
    ),
    "facts.expect_column_pair_values_to_be_equal.digest=approved_digest": (
        _says("provenance", specification_sha256=_OTHER),
        _says("provenance", artefact_sha256=_OTHER),
        _says("provenance", verdicts_sha256=_OTHER),
        _says("provenance", candidate_sha256=_OTHER),
        _manifest(lambda manifest: manifest["provenance"].pop("candidate_sha256")),
    ),
}
