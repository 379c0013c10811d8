"""Bundles as recipients open them: pandas, DuckDB, LibreOffice and frictionless, on files that were published."""

from __future__ import annotations

import datetime as dt
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import frictionless
import openpyxl
import pandas as pd
import pytest

from pipeline.publication.reading import ReadBundle, read_bundle
from pipeline.publication.workbook import sheet_names
from tests.delivering import DeliveredSite, sample

NUMBERS = ("value", "value_lo", "value_hi", "estimate", "noise_sd")
DAYS = ("period_start", "period_end")
OFFICE = shutil.which("soffice")
with_office = pytest.mark.skipif(
    OFFICE is None and not os.environ.get("CI"), reason="LibreOffice is not installed (Debian: libreoffice-calc-nogui)"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    site = DeliveredSite(tmp_path_factory.mktemp("site"), inspected=True)
    ana = site.reviewer()
    for name, period in (("weekly_audience", "2026-W41"), ("monthly_customers", "2026-10")):
        site.deliver(sample(name), period, ana, people=25_000)
    return {
        "visitors": site.workspace.bundle("partner", "weekly_audience", "2026-W41", 1),
        "customers": site.workspace.bundle("partner", "monthly_customers", "2026-10", 1),
    }


@pytest.fixture(scope="module", params=["visitors", "customers"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


@pytest.fixture(scope="module")
def bundle(folder: Path) -> ReadBundle:
    return read_bundle(folder)


def book_of(folder: Path) -> Path:
    (found,) = folder.glob("*.xlsx")
    return found


def texts(column: Any) -> list[str]:
    return ["" if pd.isna(cell) else str(cell) for cell in column]


def numbers(column: Any) -> list[float]:
    return [math.nan if pd.isna(cell) else float(cell) for cell in column]


def same(found: pd.DataFrame, published: pd.DataFrame) -> None:
    """Cell by cell, numbers to 15 digits."""
    assert list(found.columns) == list(published.columns)
    assert len(found) == len(published)
    for name in published.columns:
        if name in NUMBERS:
            assert numbers(found[name]) == pytest.approx(numbers(published[name]), rel=1e-14, nan_ok=True), name
        elif name == "is_total":
            assert [str(cell).lower() for cell in found[name]] == [str(cell).lower() for cell in published[name]]
        else:
            assert [cell[:10] if name in DAYS else cell for cell in texts(found[name])] == texts(published[name]), name


def test_pandas_reads_parquet_and_csv_alike(folder: Path, bundle: ReadBundle) -> None:
    for name, published in bundle.tables.items():
        same(pd.read_parquet(folder / f"{name}.parquet"), published)
        missing = dict.fromkeys(NUMBERS, "")
        same(pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=missing), published)


def test_pandas_reads_each_sheet_as_its_table(folder: Path, bundle: ReadBundle) -> None:
    sheets = pd.read_excel(
        book_of(folder), sheet_name=None, keep_default_na=False, na_values=dict.fromkeys(NUMBERS, "")
    )
    names = sheet_names(bundle.tables)
    assert list(sheets) == ["README", *names.values(), "derived"]
    for name, published in bundle.tables.items():
        same(sheets[names[name]], published)


def test_duckdb_reads_parquet_and_sniffs_csv(folder: Path, bundle: ReadBundle) -> None:
    for name, published in bundle.tables.items():
        with duckdb.connect() as connection:
            parquet = connection.execute(f"SELECT * FROM '{folder}/{name}.parquet'").df()
            csv = connection.execute(f"SELECT * FROM '{folder}/{name}.csv'")
            kinds = dict(
                zip([one[0] for one in csv.description], [str(one[1]) for one in csv.description], strict=True)
            )
            same(parquet, published)
            assert len(csv.fetchall()) == len(published)
        assert kinds["period_start"] == "DATE"
        assert kinds["value"] in {"BIGINT", "DOUBLE"}
        assert kinds["is_total"] == "BOOLEAN"


def test_frictionless_finds_the_whole_package_valid(folder: Path) -> None:
    report = frictionless.Package(str(folder / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "type"])
    assert len(report.tasks) >= 2 * (len(list(folder.glob("*.csv"))))


def test_namibia_is_no_missing_value_in_a_workbook(folders: dict[str, Path]) -> None:
    sheet = openpyxl.load_workbook(book_of(folders["visitors"]))["visitors_by_country"]
    assert "NA" in [cell.value for cell in sheet["C"]]


def test_cells_of_a_workbook_have_types_and_are_easy_to_find_the_way_in(folder: Path, bundle: ReadBundle) -> None:
    book = openpyxl.load_workbook(book_of(folder))
    assert book.worksheets[0]["A1"].value.startswith(bundle.manifest.identity.title)
    for sheet in book.worksheets[1:]:
        head = {cell.value: cell.column_letter for cell in sheet[1]}
        assert isinstance(sheet[f"{head['period_start']}2"].value, dt.datetime)
        assert isinstance(sheet[f"{head['value_hi']}2"].value, int | float)
        assert sheet.freeze_panes is not None
        assert sheet.auto_filter.ref is not None
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def office(path: Path, into: Path, kind: str) -> Path:
    """What LibreOffice writes when it opens a file."""
    assert OFFICE is not None, "LibreOffice must be installed"
    command = [OFFICE, f"-env:UserInstallation=file://{into}/profile", "--headless", "--convert-to", kind]
    if path.suffix == ".csv":  # commas, quotation marks, UTF-8, from the first line on: what its window would ask
        command.append("--infilter=CSV:44,34,76,1")
    subprocess.run([*command, "--outdir", str(into), str(path)], check=True, capture_output=True, timeout=180)
    (found,) = into.glob(f"{path.stem}*.{kind.partition(':')[0]}")
    return found


@with_office
def test_libreoffice_opens_a_workbook_and_a_csv_file_without_changing_a_cell(
    folder: Path, bundle: ReadBundle, tmp_path: Path
) -> None:
    again = office(book_of(folder), tmp_path, "xlsx:Calc MS Excel 2007 XML")
    sheets = pd.read_excel(again, sheet_name=None, keep_default_na=False, na_values=dict.fromkeys(NUMBERS, ""))
    names = sheet_names(bundle.tables)
    for name, published in bundle.tables.items():
        same(sheets[names[name]], published)
    name, published = next(iter(bundle.tables.items()))
    (tmp_path / "csv").mkdir()
    opened = pd.read_excel(
        office(folder / f"{name}.csv", tmp_path / "csv", "xlsx:Calc MS Excel 2007 XML"),
        keep_default_na=False,
        na_values=dict.fromkeys(NUMBERS, ""),
    )
    same(opened, published)
