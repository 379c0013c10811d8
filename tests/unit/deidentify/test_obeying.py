"""What people asked for takes effect on staging: who leaves it, what is corrected, and what stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.drafts import appending
from pipeline.deidentify.obeying import obey, obey_held, settled
from pipeline.deidentify.staging import (
    SourceCounts,
    Staging,
    StagingManifest,
    load_staging,
    read_checks,
    replace_staging,
    sweep_drafts,
    was_checked,
    write_checks,
    write_manifest,
)
from pipeline.deidentify.tombstones import Effects
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, pseudonym

MONTH = Period.parse("2026-10")
EVENTS = [(1, "DE", "home"), (2, "US", "docs"), (1, "DE", "docs"), (3, "FR", None), (2, "US", "home")]


def left_out(*people: int) -> Effects:
    return Effects(frozenset(map(pseudonym, people)))


def corrected(person: int, **values: str) -> Effects:
    return Effects(corrected={pseudonym(person): values})


def counted(**used: int) -> dict[str, SourceCounts]:
    named = {name.replace("_", " "): rows for name, rows in used.items()}
    return {
        name: SourceCounts(read=n + 3, used=n, left_out={"bot": 2}, rejected={"time": 1}) for name, n in named.items()
    }


@pytest.fixture
def visitors(tmp_path: Path) -> Staging:
    """Staging of five requests of three people, in two row groups."""
    folder = Workspace(tmp_path).staging(Population.VISITORS, WEEK)
    folder.mkdir(parents=True)
    with appending(folder / "events.parquet", "zstd") as write:
        for rows in (EVENTS[:3], EVENTS[3:]):
            person, country, section = zip(*rows, strict=True)
            texts = [pa.array(values, pa.string()).dictionary_encode() for values in (country, section)]
            write(pa.table([[pseudonym(one) for one in person], *texts], ["person", "country", "section"]))
    manifest = StagingManifest(
        population=Population.VISITORS, period=str(WEEK), sources=counted(visitor_logs=5, error_logs=4)
    )
    write_manifest(folder, manifest)
    return Staging(Population.VISITORS, WEEK, folder, manifest)


@pytest.fixture
def customers(tmp_path: Path) -> Staging:
    """Staging of three customers with aliases and orders, written as the stage of customers writes them."""
    folder = Workspace(tmp_path).staging(Population.CUSTOMERS, MONTH)
    folder.mkdir(parents=True)
    people = [pseudonym(person) for person in (1, 2, 3)]
    tables = {
        "persons": pa.table({"person": people, "plan": ["free", "paid", "free"], "policy_versions": ["", "1", "1 2"]}),
        "aliases": pa.table({"person": people, "alias": [pseudonym(100 + person) for person in (1, 2, 3)]}),
        "events": pa.table({"person": [people[0], *people], "product": ["a", "b", "a", "b"], "revenue": [1, 2, 3, 4]}),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", use_dictionary=["plan"])
    sources = counted(customers=3, orders=4)
    sources["customers"] = sources["customers"].model_copy(update={"carried": 3})
    manifest = StagingManifest(population=Population.CUSTOMERS, period=str(MONTH), sources=sources)
    write_manifest(folder, manifest)
    return Staging(Population.CUSTOMERS, MONTH, folder, manifest)


def events(staging: Staging) -> list[tuple[str, str, str | None]]:
    return [tuple(row.values()) for row in pq.read_table(staging.events).to_pylist()]


def as_staged(rows: Iterable[tuple[int, str, str | None]]) -> list[tuple[str, str, str | None]]:
    return [(pseudonym(person), *values) for person, *values in rows]  # type: ignore[misc]


def workspace_of(staging: Staging) -> Workspace:
    return Workspace(staging.folder.parents[2])


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_ino) for path in folder.iterdir()}


def test_the_rows_of_who_is_left_out_go_and_the_others_keep_their_order(visitors: Staging) -> None:
    obey(visitors.folder, visitors.manifest, left_out(1))
    assert events(visitors) == as_staged(row for row in EVENTS if row[0] != 1)


def test_rows_that_went_are_counted_as_left_out_at_a_persons_request(visitors: Staging) -> None:
    counts = obey(visitors.folder, visitors.manifest, left_out(1)).sources
    assert (counts["visitor logs"].used, counts["visitor logs"].left_out) == (3, {"bot": 2, AT_REQUEST: 2})
    assert counts["error logs"] == visitors.manifest.sources["error logs"]
    again = obey(visitors.folder, visitors.manifest.model_copy(update={"sources": counts}), left_out(2)).sources
    assert (again["visitor logs"].used, again["visitor logs"].left_out[AT_REQUEST]) == (1, 4)


def test_of_a_corrected_person_every_row_has_the_new_value_and_no_other_row_has(visitors: Staging) -> None:
    manifest = obey(visitors.folder, visitors.manifest, corrected(1, country="AT"))
    assert events(visitors) == as_staged((p, "AT" if p == 1 else country, s) for p, country, s in EVENTS)
    assert manifest == visitors.manifest


def test_who_is_left_out_and_corrected_is_left_out(visitors: Staging) -> None:
    both = Effects(
        left_out(1).left_out, {**corrected(1, country="AT").corrected, **corrected(2, country="CH").corrected}
    )
    obey(visitors.folder, visitors.manifest, both)
    assert events(visitors) == as_staged([(2, "CH", "docs"), (3, "FR", None), (2, "CH", "home")])


def test_a_correction_of_what_is_no_column_is_passed_over(visitors: Staging) -> None:
    before = contents(visitors.folder)
    assert obey(visitors.folder, visitors.manifest, corrected(1, plan="paid")) == visitors.manifest
    assert contents(visitors.folder) == before


@pytest.mark.parametrize("effects", [Effects(), left_out(9), corrected(9, country="AT"), corrected(1, country="DE")])
def test_where_nothing_changes_no_file_is_touched(visitors: Staging, effects: Effects) -> None:
    before = contents(visitors.folder)
    assert obey(visitors.folder, visitors.manifest, effects) == visitors.manifest
    assert not obey_held(visitors, effects)
    assert contents(visitors.folder) == before


def test_files_keep_the_form_in_which_they_were_written(visitors: Staging, customers: Staging) -> None:
    for staging, names in ((visitors, ["events"]), (customers, ["events", "persons", "aliases"])):
        paths = [staging.folder / f"{name}.parquet" for name in names]
        before = [(pq.read_schema(path), form(path)) for path in paths]
        obey(staging.folder, staging.manifest, Effects(left_out(1).left_out, corrected(2, plan="free").corrected))
        assert [(pq.read_schema(path), form(path)) for path in paths] == before


def form(path: Path) -> list[tuple[str, bool, bool]]:
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return [(one.compression, one.is_stats_set, "RLE_DICTIONARY" in one.encodings) for one in columns]


def test_a_customer_leaves_persons_orders_and_aliases(customers: Staging) -> None:
    counts = obey(customers.folder, customers.manifest, left_out(1)).sources
    tables = {name: pq.read_table(customers.folder / f"{name}.parquet") for name in ("persons", "events", "aliases")}
    assert {name: len(table) for name, table in tables.items()} == {"persons": 2, "events": 2, "aliases": 2}
    assert all(pseudonym(1) not in table.column("person").to_pylist() for table in tables.values())
    assert (counts["customers"].used, counts["customers"].left_out[AT_REQUEST], counts["customers"].carried) == (
        2,
        1,
        2,
    )
    assert (counts["orders"].used, counts["orders"].left_out[AT_REQUEST]) == (2, 2)


def test_a_file_that_nobody_is_left_in_is_empty_and_keeps_its_columns(visitors: Staging) -> None:
    schema = pq.read_schema(visitors.events)
    counts = obey(visitors.folder, visitors.manifest, left_out(1, 2, 3)).sources["visitor logs"]
    assert (counts.used, counts.left_out[AT_REQUEST]) == (0, 5)
    assert pq.read_table(visitors.events).num_rows == 0
    assert pq.read_schema(visitors.events) == schema


def test_held_staging_is_changed_with_its_manifest_and_its_verdicts_are_withdrawn(visitors: Staging) -> None:
    write_checks(visitors, b"[]")
    assert obey_held(visitors, left_out(1))
    found = load_staging(workspace_of(visitors), Population.VISITORS, WEEK)
    assert found.manifest.sources["visitor logs"].left_out[AT_REQUEST] == 2
    assert len(events(found)) == found.manifest.sources["visitor logs"].used
    assert was_checked(found)
    with pytest.raises(StagingError, match="must be checked"):
        read_checks(found)
    write_checks(found, b"[]")
    assert {path.name for path in found.folder.iterdir()} == {"events.parquet", "manifest.json", "checks.json"}


def test_staging_that_was_never_checked_does_not_count_as_checked(visitors: Staging) -> None:
    obey_held(visitors, left_out(1))
    assert not was_checked(visitors)


def test_who_was_killed_before_the_change_was_decided_leaves_staging_as_it_was(visitors: Staging) -> None:
    before = contents(visitors.folder)
    (visitors.folder / ".events.parquet").write_bytes(b"half a dra")
    (visitors.folder / ".manifest.json.draft").write_text("{")
    assert settled(workspace_of(visitors), Population.VISITORS, WEEK) == visitors
    assert contents(visitors.folder) == before


@pytest.mark.parametrize("placed", [[], ["events.parquet"], ["events.parquet", "persons.parquet"]])
def test_who_was_killed_after_it_was_decided_is_brought_to_the_end(
    customers: Staging, tmp_path: Path, placed: list[str]
) -> None:
    shutil.copytree(customers.folder, tmp_path / "before")
    obey_held(customers, left_out(1))
    after = {path.name: path.read_bytes() for path in customers.folder.iterdir()}
    for name in after:  # as if the first of these had been put in their place, and no other
        if name not in placed:
            (customers.folder / name).rename(customers.folder / f".{name}")
            shutil.copy(tmp_path / "before" / name, customers.folder)
    found = settled(workspace_of(customers), Population.CUSTOMERS, MONTH)
    assert {path.name: path.read_bytes() for path in customers.folder.iterdir()} == after
    assert found.manifest.sources["customers"].used == 2


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_changed(customers: Staging) -> None:
    customers.persons.write_bytes(b"PAR1" + pseudonym(1).encode() * 9)
    before = contents(customers.folder)
    with pytest.raises(StagingError, match=r"readable Parquet.*on persons\.parquet") as caught:
        obey_held(customers, left_out(1))
    assert pseudonym(1) not in f"{caught.value}{caught.value.__cause__}{caught.value.__suppress_context__ or 'context'}"
    assert contents(customers.folder) == before


def test_who_was_killed_while_staging_was_replaced_leaves_the_newest_that_is_whole(visitors: Staging) -> None:
    workspace, parent = workspace_of(visitors), visitors.folder.parent
    visitors.folder.rename(parent / f".{WEEK}.0a0a0a0a")
    newest = parent / f".{WEEK}.0b0b0b0b"
    shutil.copytree(parent / f".{WEEK}.0a0a0a0a", newest)
    write_manifest(newest, visitors.manifest.model_copy(update={"code_version": "newest"}))
    (parent / f".{WEEK}.0c0c0c0c").mkdir()
    (parent / f".{WEEK}.lock").touch()
    sweep_drafts(workspace, Population.VISITORS, WEEK)
    assert load_staging(workspace, Population.VISITORS, WEEK).manifest.code_version == "newest"
    assert {path.name for path in parent.iterdir()} == {str(WEEK), f".{WEEK}.lock"}


def test_drafts_of_killed_runs_are_swept_before_new_staging_is_written(visitors: Staging) -> None:
    left = visitors.folder.parent / f".{WEEK}.0a0a0a0a"
    left.mkdir()
    with replace_staging(workspace_of(visitors), Population.VISITORS, WEEK) as folder:
        assert not left.exists()
        write_manifest(folder, visitors.manifest)
    assert {path.name for path in visitors.folder.iterdir()} == {"manifest.json"}
