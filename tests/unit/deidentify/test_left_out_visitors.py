"""Visitors who asked to be left out, or to be corrected, in whatever is ingested after they had asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.deidentify.subject_key import subject_key
from pipeline.deidentify.tombstones import Tombstone, put_up, visitor_handle
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.asking import files_with
from tests.log_lines import BOT, CHROME, DAY, column, counts, events, line, stage

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CLOCK_CHANGE = dt.date(2026, 10, 25)  # a day of 25 hours in Berlin


def ask(  # noqa: PLR0913
    home: Path,
    *,
    address: str = "8.8.8.8",
    agent: str = CHROME,
    first: dt.date | None = None,
    last: dt.date | None = None,
    values: Mapping[str, str] | None = None,
    made: str = "2026-10-07T10:00:00+00:00",
) -> None:
    """Put up a tombstone for a visitor; it leaves them out unless it has values."""
    store = database.opened(Workspace(home).ledger)
    digest = subject_key(Workspace(home), store).digest(visitor_handle(address, agent))
    with store.writing() as connection:
        put_up(connection, [Tombstone(digest, Population.VISITORS, first, last, values or {}, f"R-{made}", made)])


def people(home: Path, *visitors: tuple[str, str], period: Period = DAY) -> list[str]:
    key = period_key(Workspace(home), Population.VISITORS, period)
    return sorted(key.pseudonym(f"{address}\0{agent}") for address, agent in visitors)


def test_who_asked_is_in_no_row_and_each_line_of_theirs_is_counted_once(tmp_path: Path) -> None:
    ask(tmp_path)
    lines = [line(), line(address="9.9.9.9"), line(), line(agent=BOT), "spoiled\n"]
    staging = stage(tmp_path, *lines)
    assert column(staging, "person") == people(tmp_path, ("9.9.9.9", CHROME))
    assert counts(staging) == (5, 1, {"bot": 1, AT_REQUEST: 2}, {"format": 1})
    assert people(tmp_path, ("8.8.8.8", CHROME))[0] not in str(events(staging))


def test_another_browser_at_the_same_address_is_somebody_else(tmp_path: Path) -> None:
    ask(tmp_path)
    staging = stage(tmp_path, line(), line(agent=FIREFOX))
    assert column(staging, "person") == people(tmp_path, ("8.8.8.8", FIREFOX))


def test_an_address_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    ask(tmp_path, address="2001:db8::1")
    staging = stage(tmp_path, line(address="2001:0DB8:0:0:0:0:0:1"), line(address="2001:db8::2"))
    assert column(staging, "person") == people(tmp_path, ("2001:db8::2", CHROME))


def test_who_asked_is_found_in_every_block_of_every_file(tmp_path: Path) -> None:
    ask(tmp_path)
    for number in range(3):
        (tmp_path / f"{number}.log").write_text(line() + line(address=f"9.9.9.{number}") * 2, "utf-8")
    staging = stage(tmp_path, line(), line(address="9.9.9.9"))
    assert counts(staging) == (11, 7, {AT_REQUEST: 4}, {})


def test_what_is_corrected_is_so_in_every_row_of_that_person_alone(tmp_path: Path) -> None:
    ask(tmp_path, values={"country": "AT", "language": "de"})
    staging = stage(tmp_path, line(), line(), line(agent=FIREFOX))
    (person,) = people(tmp_path, ("8.8.8.8", CHROME))
    found = {(row["person"] == person, row["country"], row["language"]) for row in events(staging)}
    assert found == {(True, "AT", "de"), (False, "US", "unknown")}
    assert counts(staging) == (3, 3, {}, {})


def test_of_two_corrections_the_later_stands_and_being_left_out_overrules_both(tmp_path: Path) -> None:
    ask(tmp_path, values={"country": "AT", "language": "de"}, made="2026-10-07T10:00:00+00:00")
    ask(tmp_path, values={"country": "CH"}, made="2026-10-08T10:00:00+00:00")
    staging = stage(tmp_path, line(), line(agent=FIREFOX))
    assert ("CH", "de") in {(row["country"], row["language"]) for row in events(staging)}
    ask(tmp_path, made="2026-10-06T10:00:00+00:00")
    assert column(stage(tmp_path, line(), line(agent=FIREFOX)), "country") == ["US"]


@pytest.mark.parametrize(
    ("first", "last", "obeyed"),
    [
        (dt.date(2026, 10, 5), dt.date(2026, 10, 5), True),
        (dt.date(2026, 9, 1), dt.date(2026, 10, 5), True),
        (dt.date(2026, 10, 5), None, True),
        (None, None, True),
        (dt.date(2026, 9, 1), dt.date(2026, 10, 4), False),
        (dt.date(2026, 10, 6), None, False),
    ],
)
def test_a_request_is_obeyed_in_the_periods_of_its_days(
    tmp_path: Path, first: dt.date | None, last: dt.date | None, obeyed: bool
) -> None:
    ask(tmp_path, first=first, last=last)
    staging = stage(tmp_path, line(), line(address="9.9.9.9"))
    assert counts(staging)[1:3] == ((1, {AT_REQUEST: 1}) if obeyed else (2, {}))


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_request_for_the_day_of_a_clock_change_is_obeyed_on_that_day_alone(tmp_path: Path, offset: int) -> None:
    ask(tmp_path, first=CLOCK_CHANGE, last=CLOCK_CHANGE)
    period = Period.parse((CLOCK_CHANGE + dt.timedelta(days=offset)).isoformat())
    # The day's first minute, both of its hours from two to three, its last minute; and a minute of each day beside it.
    instants = ["24/Oct/2026:23:59:30 +0200", "25/Oct/2026:00:00:00 +0200", "25/Oct/2026:02:30:00 +0200"]
    instants += ["25/Oct/2026:02:30:00 +0100", "25/Oct/2026:23:59:59 +0100", "26/Oct/2026:00:00:00 +0100"]
    lines = [line(time=time, address=address) for time in instants for address in ("8.8.8.8", "9.9.9.9")]
    staging = stage(tmp_path, *lines, period=period, time_zone="Europe/Berlin")
    used = {-1: 2, 0: 4, 1: 2}[offset]
    assert counts(staging)[1] == used
    assert counts(staging)[2].get(AT_REQUEST, 0) == (4 if offset == 0 else 0)


def test_a_past_period_that_is_read_again_obeys_what_was_asked_since(tmp_path: Path) -> None:
    before = stage(tmp_path, line(), line(address="9.9.9.9"))
    assert counts(before)[1] == 2
    ask(tmp_path)
    assert column(stage(tmp_path, line(), line(address="9.9.9.9")), "person") == people(tmp_path, ("9.9.9.9", CHROME))


def test_an_error_beside_a_request_of_who_is_left_out_is_told_of_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "error.log").write_text("2026/10/05 10:00:00 [error] 1#1: *1 open() failed, client: 8.8.8.8\n", "utf-8")
    lines = [line(), line(agent=FIREFOX, time="05/Oct/2026:10:00:20 +0000")]
    assert column_of_errors(tmp_path, *lines) == {None, "error"}
    ask(tmp_path)
    assert column_of_errors(tmp_path, *lines) == {None}


def column_of_errors(home: Path, *lines: str) -> set[str | None]:
    staging = stage(home, *lines, logs=["access.log"], error_logs=["error.log"])
    assert staging.manifest.sources["error logs"].used == 1
    return {row["error_level"] for row in events(staging)}


def test_where_only_people_are_left_who_asked_to_be_left_out_there_is_no_staging(tmp_path: Path) -> None:
    ask(tmp_path)
    with pytest.raises(StagingError, match="people who asked to be left out"):
        stage(tmp_path, line(), line(agent=BOT))
    assert not Workspace(tmp_path).staging(Population.VISITORS, DAY).exists()


@pytest.mark.parametrize("spoil", [lambda key: key.unlink(), lambda key: key.write_bytes(b"0f" * 32)])
def test_without_the_key_of_requests_nothing_is_ingested_and_earlier_staging_stays(
    tmp_path: Path, spoil: object
) -> None:
    before = stage(tmp_path, line())
    ask(tmp_path)
    assert callable(spoil)
    spoil(Workspace(tmp_path).subject_key)
    with pytest.raises(ConfigurationError, match="key"):
        stage(tmp_path, line())
    assert load_staging(Workspace(tmp_path), Population.VISITORS, DAY) == before


def test_nothing_of_who_asked_is_in_any_file(tmp_path: Path) -> None:
    ask(tmp_path, address="198.51.100.77", agent=FIREFOX)
    stage(tmp_path, line(address="198.51.100.77", agent=FIREFOX), line())
    (tmp_path / "access.log").unlink()
    (person,), (other,) = (people(tmp_path, one) for one in (("198.51.100.77", FIREFOX), ("8.8.8.8", CHROME)))
    assert files_with(tmp_path, other)
    assert not [path for word in ("198.51.100.77", "Firefox/128", person) for path in files_with(tmp_path, word)]
