"""What people asked for takes effect on staging: who leaves it, what is corrected, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.obeying import obey, obey_held, settled
from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import PSEUDONYM_DIGITS
from pipeline.deidentify.staging import (
    SourceCounts,
    Staging,
    StagingManifest,
    load_staging,
    read_checks,
    replace_staging,
    was_checked,
    write_checks,
    write_manifest,
)
from pipeline.deidentify.tables import ALIASES, PERSONS, TableWriter, bucket_of
from pipeline.deidentify.tables import EVENTS as EVENT_TABLE
from pipeline.deidentify.tombstones import Effects
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, pseudonym
from tests.staged import contents, file_of, folder_of, put_staging, put_table, rows_of

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
    place = Folder(str(Workspace(tmp_path).staging(Population.VISITORS, WEEK)))
    table = TableWriter(place, EVENT_TABLE, 1, compression="zstd", store_schema=False)
    with table.bucket(0) as file:
        for rows in (EVENTS[:3], EVENTS[3:]):
            person, country, section = zip(*rows, strict=True)
            texts = [pa.array(values, pa.string()).dictionary_encode() for values in (country, section)]
            file.write(pa.table([[pseudonym(one) for one in person], *texts], ["person", "country", "section"]))
    manifest = StagingManifest(
        population=Population.VISITORS,
        period=str(WEEK),
        sources=counted(visitor_logs=5, error_logs=4),
        files={EVENT_TABLE: tuple(table.files)},
    )
    write_manifest(place, manifest)
    return Staging(Population.VISITORS, WEEK, place, manifest)


@pytest.fixture
def customers(tmp_path: Path) -> Staging:
    """Staging of three customers with aliases and orders, written as the stage of customers writes them."""
    place = Folder(str(Workspace(tmp_path).staging(Population.CUSTOMERS, MONTH)))
    people = [pseudonym(person) for person in (1, 2, 3)]
    tables = {
        PERSONS: pa.table({"person": people, "plan": ["free", "paid", "free"], "policy_versions": ["", "1", "1 2"]}),
        ALIASES: pa.table({"person": people, "alias": [pseudonym(100 + person) for person in (1, 2, 3)]}),
        EVENT_TABLE: pa.table({"person": [people[0], *people], "product": [*"abab"], "revenue": [1, 2, 3, 4]}),
    }
    files = {
        name: put_table(place, name, table, compression="zstd", use_dictionary=["plan"])
        for name, table in tables.items()
    }
    sources = counted(customers=3, orders=4)
    sources["customers"] = sources["customers"].model_copy(update={"carried": 3})
    manifest = StagingManifest(population=Population.CUSTOMERS, period=str(MONTH), sources=sources, files=files)
    write_manifest(place, manifest)
    return Staging(Population.CUSTOMERS, MONTH, place, manifest)


def obeyed(staging: Staging, effects: Effects) -> Staging:
    """Staging as it is then, its manifest not yet put in place."""
    return replace(staging, manifest=obey(staging.place, staging.manifest, effects))


def events(staging: Staging) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows_of(staging.events)]


def as_staged(rows: Iterable[tuple[int, str, str | None]]) -> list[tuple[Any, ...]]:
    return [(pseudonym(person), *values) for person, *values in rows]


def workspace_of(staging: Staging) -> Workspace:
    return Workspace(folder_of(staging).parents[2])


def untouched(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    files = {path: path.stat() for path in folder.rglob("*.*")}
    return {str(path): (path.read_bytes(), at.st_ino, at.st_mtime_ns) for path, at in files.items()}


def test_the_rows_of_who_is_left_out_go_and_the_others_keep_their_order(visitors: Staging) -> None:
    assert events(obeyed(visitors, left_out(1))) == as_staged(row for row in EVENTS if row[0] != 1)


def test_rows_that_went_are_counted_as_left_out_at_a_persons_request(visitors: Staging) -> None:
    once = obeyed(visitors, left_out(1))
    counts = once.manifest.sources
    assert (counts["visitor logs"].used, counts["visitor logs"].left_out) == (3, {"bot": 2, AT_REQUEST: 2})
    assert counts["error logs"] == visitors.manifest.sources["error logs"]
    again = obeyed(once, left_out(2)).manifest.sources
    assert (again["visitor logs"].used, again["visitor logs"].left_out[AT_REQUEST]) == (1, 4)


def test_of_a_corrected_person_every_row_has_the_new_value_and_no_other_row_has(visitors: Staging) -> None:
    found = obeyed(visitors, corrected(1, country="AT"))
    assert events(found) == as_staged((p, "AT" if p == 1 else country, s) for p, country, s in EVENTS)
    assert found.manifest.sources == visitors.manifest.sources


def test_who_is_left_out_and_corrected_is_left_out(visitors: Staging) -> None:
    both = Effects(
        left_out(1).left_out, {**corrected(1, country="AT").corrected, **corrected(2, country="CH").corrected}
    )
    found = obeyed(visitors, both)
    assert events(found) == as_staged([(2, "CH", "docs"), (3, "FR", None), (2, "CH", "home")])


def test_a_correction_of_what_is_no_column_is_passed_over(visitors: Staging) -> None:
    before = untouched(folder_of(visitors))
    assert obey(visitors.place, visitors.manifest, corrected(1, plan="paid")) == visitors.manifest
    assert untouched(folder_of(visitors)) == before


@pytest.mark.parametrize("effects", [Effects(), left_out(9), corrected(9, country="AT"), corrected(1, country="DE")])
def test_where_nothing_changes_no_file_is_touched(visitors: Staging, effects: Effects) -> None:
    before = untouched(folder_of(visitors))
    assert obey(visitors.place, visitors.manifest, effects) == visitors.manifest
    assert not obey_held(visitors, effects)
    assert untouched(folder_of(visitors)) == before


def test_files_of_other_buckets_of_people_are_not_touched(tmp_path: Path) -> None:
    place = Folder(str(Workspace(tmp_path).staging(Population.VISITORS, WEEK)))
    people = [pseudonym(number) for number in range(400)]
    rows = pa.table({"person": people, "country": ["DE"] * 400})
    staging = put_staging(place, (Population.VISITORS, WEEK), {EVENT_TABLE: rows}, {"visitor logs": 400}, buckets=16)
    before = untouched(tmp_path)
    own = {bucket_of(people[number], 16) for number in (1, 7)}
    assert obey_held(staging, Effects(left_out(1).left_out, corrected(7, country="AT").corrected))
    after = load_staging(Workspace(tmp_path), Population.VISITORS, WEEK)
    kept = {name: file for name, file in untouched(tmp_path).items() if "events" in name and name in before}
    assert kept == {name: before[name] for name in kept}
    assert {int(Path(name).name[1:5]) for name in kept} == set(range(16)) - own
    assert sorted((row["person"], row["country"]) for row in rows_of(after.events)) == sorted(
        (person, "AT" if person == people[7] else "DE") for person in people if person != people[1]
    )


def test_the_file_of_a_bucket_that_nobody_is_left_in_goes(tmp_path: Path) -> None:
    place = Folder(str(tmp_path / "staging"))
    low, high = "0" * PSEUDONYM_DIGITS, "f" * PSEUDONYM_DIGITS
    who, rows = (Population.VISITORS, WEEK), {EVENT_TABLE: pa.table({"person": [low, high]})}
    staging = put_staging(place, who, rows, {"visitor logs": 2}, buckets=2)
    assert obey_held(staging, Effects(frozenset({low})))
    (name,) = [name for name in place.names() if name.startswith(EVENT_TABLE)]
    assert name.startswith("events/b0001-")


def test_files_keep_the_form_in_which_they_were_written(visitors: Staging, customers: Staging) -> None:
    effects = Effects(left_out(1).left_out, corrected(2, plan="free").corrected)
    for staging in (visitors, customers):
        found = obeyed(staging, effects)
        assert set(found.manifest.files) == set(staging.manifest.files)
        for name in staging.manifest.files:
            before, after = file_of(staging.table(name)), file_of(found.table(name))
            assert before != after
            assert (pq.read_schema(after), form(after)) == (pq.read_schema(before), form(before))


def form(path: Path) -> list[tuple[str, bool, bool]]:
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return [(one.compression, one.is_stats_set, "RLE_DICTIONARY" in one.encodings) for one in columns]


def test_a_customer_leaves_persons_orders_and_aliases(customers: Staging) -> None:
    found = obeyed(customers, left_out(1))
    counts, tables = found.manifest.sources, {name: rows_of(found.table(name)) for name in found.manifest.files}
    assert {name: len(rows) for name, rows in tables.items()} == {PERSONS: 2, EVENT_TABLE: 2, ALIASES: 2}
    assert all(row["person"] != pseudonym(1) for rows in tables.values() for row in rows)
    assert (counts["customers"].used, counts["customers"].left_out[AT_REQUEST], counts["customers"].carried) == (
        2,
        1,
        2,
    )
    assert (counts["orders"].used, counts["orders"].left_out[AT_REQUEST]) == (2, 2)


def test_a_table_that_nobody_is_left_in_is_empty_and_keeps_its_columns(visitors: Staging) -> None:
    found = obeyed(visitors, left_out(1, 2, 3))
    counts = found.manifest.sources["visitor logs"]
    assert (counts.used, counts.left_out[AT_REQUEST]) == (0, 5)
    assert found.events is not None
    assert visitors.events is not None
    assert (found.events.rows, found.events.schema) == (0, visitors.events.schema)


def test_held_staging_is_changed_with_its_manifest_and_its_verdicts_are_withdrawn(visitors: Staging) -> None:
    write_checks(visitors, b"[]")
    assert read_checks(visitors) == b"[]"
    assert obey_held(visitors, left_out(1))
    found = load_staging(workspace_of(visitors), Population.VISITORS, WEEK)
    assert found.manifest.sources["visitor logs"].left_out[AT_REQUEST] == 2
    assert len(events(found)) == found.manifest.sources["visitor logs"].used
    assert was_checked(found)
    with pytest.raises(StagingError, match="must be checked"):
        read_checks(found)
    write_checks(found, b"[]")
    assert set(found.place.names()) == {*found.manifest.names, "manifest.json", "checks.json"}


def test_staging_that_was_never_checked_does_not_count_as_checked(visitors: Staging) -> None:
    obey_held(visitors, left_out(1))
    assert not was_checked(visitors)


class Killed(BaseException):
    """What ends a run at once."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """From the change of this number on, nothing of a place can be changed any more."""
    left = [number]

    def counted_down(name: str) -> Callable[..., Any]:
        original = getattr(Folder, name)

        def change(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return original(*arguments)

        return change

    with monkeypatch.context() as patched:
        for name in ("writing", "replace", "remove", "clear"):
            patched.setattr(Folder, name, counted_down(name))
        yield


def tables_of(staging: Staging) -> dict[str, list[dict[str, Any]]]:
    return {name: rows_of(staging.table(name)) for name in staging.manifest.files}


def changes(customers: Staging, act: Callable[[Staging], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """Kills an action at each of its changes, until it comes through; looks at what is left each time."""
    workspace, before, number = workspace_of(customers), tables_of(customers), 0
    found = []
    while True:
        staging = load_staging(workspace, Population.CUSTOMERS, MONTH)
        try:
            with killed_at(monkeypatch, number):
                act(staging)
        except Killed:
            number += 1
        else:
            break
        left = settled(workspace, Population.CUSTOMERS, MONTH)
        found.append(tables_of(left))
        assert set(left.place.names()) == {*left.manifest.names, "manifest.json"}
    after = tables_of(load_staging(workspace, Population.CUSTOMERS, MONTH))
    assert after != before
    assert all(tables in (before, after) for tables in found)
    return number


def test_who_is_killed_while_somebody_is_removed_leaves_staging_as_it_was_or_as_it_is_to_be(
    customers: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changes(customers, lambda staging: obey_held(staging, left_out(1)), monkeypatch) >= 4


def test_who_is_killed_while_staging_is_replaced_leaves_the_earlier_or_the_new(
    customers: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ingest(staging: Staging) -> None:
        with replace_staging(workspace_of(staging), Population.CUSTOMERS, MONTH) as new:
            rows = pa.table({"person": [pseudonym(7)], "plan": ["paid"]})
            files = {PERSONS: put_table(new.place, PERSONS, rows)}
            new.manifest = staging.manifest.model_copy(update={"files": files})

    assert changes(customers, ingest, monkeypatch) >= 4


def test_a_table_that_cannot_be_read_is_named_and_nothing_is_changed(customers: Staging) -> None:
    file_of(customers.persons).write_bytes(b"PAR1" + pseudonym(1).encode() * 9)
    before = contents(folder_of(customers))
    with pytest.raises(StagingError, match=r"readable Parquet.*on persons") as caught:
        obey_held(customers, left_out(1))
    assert pseudonym(1) not in f"{caught.value}{caught.value.__cause__}{caught.value.__suppress_context__ or 'context'}"
    assert contents(folder_of(customers)) == before


def run_that_fails(workspace: Workspace, look: Callable[[], object]) -> None:
    def fail() -> None:
        with replace_staging(workspace, Population.VISITORS, WEEK) as new:
            look()
            put_table(new.drafts, "requests", pa.table({"person": [pseudonym(1)]}))
            raise StagingError("no line")

    with pytest.raises(StagingError, match="no line"):
        fail()


def test_what_killed_runs_left_is_swept_before_new_staging_is_written(visitors: Staging) -> None:
    for name in ("drafts/0a0a/requests.parquet", "events/b0000-0a0a0a0a0a0a0a0a.parquet", ".manifest.json.partial"):
        left = folder_of(visitors) / name
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_bytes(b"left")
    kept, seen = {*visitors.manifest.names, "manifest.json"}, list[set[str]]()
    run_that_fails(workspace_of(visitors), lambda: seen.append(set(visitors.place.names())))
    assert seen == [kept]
    assert set(visitors.place.names()) == kept


def test_where_there_was_no_staging_a_run_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    run_that_fails(Workspace(tmp_path), lambda: None)
    assert not Workspace(tmp_path).staging(Population.VISITORS, WEEK).exists()
