"""What a part of an audience's tables tells: what is in it, and nothing of what is not."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.delivery.bundles import approved_of
from pipeline.publication.charts import draw_charts
from pipeline.publication.contents import numbers_of, workbook_of
from pipeline.publication.cuts import Cut
from pipeline.publication.datapackage import datapackage_bytes
from pipeline.publication.derived.within import within
from pipeline.publication.manifest import file_entry, identity_of, manifest_of, provenance_of
from pipeline.publication.readme import readme_bytes
from pipeline.publication.report import report_bytes
from pipeline.publication.views import AudienceView, view
from pipeline.release.artefact import PrivateRelease
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Audience
from tests.delivering import DeliveredSite, sample

RESELLER = Audience.RESELLER
COUNTRY, SYSTEM = "visitors_by_country", "visitors_by_country_and_system"
CENTRE, WEST = ("AT", "BQ", "DE"), ("AE", "DE", "FR")
PARTS = {
    "rows": Cut(RESELLER, rows={"country": CENTRE}),
    "rows and totals": Cut(RESELLER, rows={"country": CENTRE}, totals=True),
    "rows of the second dimension": Cut(RESELLER, rows={"operating_system": ("Windows",)}),
    "rows of both": Cut(RESELLER, rows={"country": CENTRE, "operating_system": ("Windows", "Linux")}),
    "a table": Cut(RESELLER, tables=("visitors_by_language",)),
    "a column": Cut(RESELLER, tables=(SYSTEM,), columns={SYSTEM: ("country",)}),
    "a column of rows with totals": Cut(RESELLER, (SYSTEM,), {SYSTEM: ("country",)}, {"country": CENTRE}, totals=True),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    made.deliver(sample("weekly_audience"), "2026-W41", made.reviewer(), people=30_000)
    return made


@pytest.fixture(scope="module")
def release(site: DeliveredSite) -> PrivateRelease:
    return site.release(ReleaseKey("weekly_audience", "2026-W41"))


def another(release: PrivateRelease, cut: Cut) -> PrivateRelease:
    """A release that differs in every number that a part does not show, and in nothing else."""
    shown = view(release, RESELLER, cut)
    tables = {}
    for name, frame in release.tables.items():
        changed = frame.copy()
        hidden = ~_shown(frame, shown, name)
        for column in ("value", "value_lo", "value_hi", "estimate"):
            changed.loc[hidden, column] = changed.loc[hidden, column].fillna(0) + 7
        changed.loc[hidden, "obs_status"] = "U"
        tables[name] = changed
    assert any(not changed.equals(release.tables[name]) for name, changed in tables.items())
    return replace(release, tables=tables)


def _shown(frame: pd.DataFrame, shown: AudienceView, name: str) -> pd.Series[bool]:
    if name not in shown.tables:
        return pd.Series(data=False, index=frame.index)
    facts = next(one for one in shown.header.tables if one.name == name)
    names = list(frame.columns[: list(frame.columns).index("kind")])
    keys = shown.tables[name].reindex(columns=[*names, "measure"], fill_value="all")
    assert facts.dimensions == tuple(names[: len(facts.dimensions)])
    wanted = set(keys.itertuples(index=False, name=None))
    return pd.Series([row in wanted for row in frame[[*names, "measure"]].itertuples(index=False, name=None)])


def contents(site: DeliveredSite, release: PrivateRelease, cut: Cut) -> Mapping[str, bytes]:
    """Every file of a part but its seal."""
    key = ReleaseKey("weekly_audience", "2026-W41")
    shown, verdicts = view(release, RESELLER, cut), Verdicts.from_bytes(site.ledger.checks(key) or b"[]")
    provenance = provenance_of(shown, approved_of(site.register, key), "0" * 64, verdicts)
    numbers = numbers_of(shown)
    workbook = workbook_of(shown, numbers, provenance, None)
    book = (file_entry(name, content) for name, content in workbook.items())
    told = {
        "datapackage.json": datapackage_bytes(
            shown, identity_of(shown), provenance.approval.decided_at, (*numbers.entries, *book)
        ),
        "README.md": readme_bytes(shown, provenance),
        "report.html": report_bytes(shown, draw_charts(shown), verdicts, provenance.approval),
        "manifest.json": manifest_of(shown, provenance, ()).to_bytes(),
    }
    return {**numbers.contents, **workbook, **told}


@pytest.mark.parametrize(
    "name", ["rows and totals", "rows of the second dimension", "a table", "a column of rows with totals"]
)
def test_no_file_of_a_part_depends_on_a_number_that_it_does_not_show(
    site: DeliveredSite, release: PrivateRelease, name: str
) -> None:
    cut = PARTS[name]
    one, other = contents(site, release, cut), contents(site, another(release, cut), cut)
    assert one.keys() == other.keys()
    assert [file for file in one if one[file] != other[file]] == []


def test_a_number_that_a_part_shows_changes_its_files(site: DeliveredSite, release: PrivateRelease) -> None:
    cut = PARTS["rows"]
    one, other = contents(site, release, cut), contents(site, another(release, PARTS["a table"]), cut)
    differ = {name for name in one if one[name] != other[name]}
    assert {f"{COUNTRY}.csv", f"{COUNTRY}.parquet", "derived.csv", "report.html"} <= differ


def derived(shown: AudienceView) -> dict[tuple[object, ...], tuple[object, ...]]:
    """Shares and indices, by table, group, measure and statistic; a dimension that is not there is left out."""
    frame = within(shown.header.tables, shown.tables).astype(object)
    rows = [
        {name: value for name, value in row.items() if pd.notna(value) and value != "all"}
        for row in frame.to_dict("records")
    ]
    return {
        tuple((name, value) for name, value in row.items() if not str(name).startswith("value")): tuple(
            row[name] for name in ("value", "value_lo", "value_hi")
        )
        for row in rows
    }


def test_shares_and_indices_of_a_part_are_those_of_the_whole(release: PrivateRelease) -> None:
    whole, told = derived(view(release, RESELLER)), 0
    for name, cut in PARTS.items():
        part = derived(view(release, RESELLER, cut))
        assert {key: whole[key] for key in part} == part, name
        told += len(part)
    assert told > 30


def rows(shown: AudienceView) -> set[tuple[object, ...]]:
    """All rows of all tables, each with the name of its table; a dimension that is left out is all of it."""
    found: set[tuple[object, ...]] = set()
    for name, frame in shown.tables.items():
        every = frame.astype(object).where(frame.notna(), None)
        for record in every.to_dict("records"):
            told = {key: value for key, value in record.items() if key not in {"is_total"} and value != "all"}
            found.add((name, *told.items()))
    return found


@pytest.mark.parametrize("totals", [False, True])
def test_together_two_have_the_rows_and_derived_numbers_of_one_with_both_rights(
    release: PrivateRelease, totals: bool
) -> None:
    cuts = [Cut(RESELLER, rows={"country": keys}, totals=totals) for keys in (CENTRE, WEST)]
    both = Cut(RESELLER, rows={"country": tuple(sorted({*CENTRE, *WEST}))}, totals=totals)
    one, other = (view(release, RESELLER, cut) for cut in cuts)
    together = view(release, RESELLER, both)
    assert rows(one) | rows(other) == rows(together)
    assert derived(one) | derived(other) == derived(together)


def test_together_any_of_them_have_nothing_that_the_whole_has_not(release: PrivateRelease) -> None:
    whole = rows(view(release, RESELLER))
    for (first, one), (second, other) in itertools.combinations(PARTS.items(), 2):
        mine, theirs = rows(view(release, RESELLER, one)), rows(view(release, RESELLER, other))
        assert mine | theirs <= whole, (first, second)


def texts(folder: Path) -> Iterator[str]:
    """All that a bundle says, out of every form that packs it."""
    for path in sorted(folder.iterdir()):
        yield path.name
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as packed:
                yield from (packed.read(name).decode() for name in packed.namelist() if name.endswith(".xml"))
        elif path.suffix == ".parquet":
            yield pd.read_parquet(io.BytesIO(path.read_bytes())).to_csv()
        else:
            yield path.read_text("utf-8-sig")


def test_no_form_of_a_part_names_a_table_a_dimension_or_a_key_that_was_left_out(tmp_path: Path) -> None:
    site = DeliveredSite(tmp_path)
    ana, columns = site.reviewer(), {SYSTEM: ["country"]}
    grant = {"tables": [SYSTEM], "columns": columns, "rows": {"country": ["DE", "DK"]}, "totals": True}
    north = {"name": "north", "title": "N", "audience": "reseller", "receives": {"weekly_audience": grant}}
    site.offer(sample("weekly_audience"))
    site.entitle(ana, {"recipients": [north]})
    site.deliver(sample("weekly_audience"), "2026-W41", ana, people=20_000)
    (folder,) = site.workspace.published.glob("reseller-*/weekly_audience/2026-W41/r1")
    said = "\n".join(texts(folder))
    assert "DK" in said
    for name in ("visitors_by_language", "operating_system", "visitors_by_browser", "Operating system", "Windows"):
        assert name not in said, name
    for key in ("PL", "ZW", "BQ"):
        assert not any(form in said for form in (f">{key}<", f",{key},", f'"{key}"', f" {key} ")), key
