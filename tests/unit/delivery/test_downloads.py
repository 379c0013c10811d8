"""The log of downloads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.delivery.tables import DOWNLOADS
from pipeline.errors import LedgerError
from pipeline.privacy import database

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ONE = Download("acme", Way.API, 1, "partner", "weekly_audience", "2026-W41", 1, "by_browser.csv")


@pytest.fixture
def downloads(address: str) -> Iterator[Downloads]:
    made = Downloads(database.opened(address))
    yield made
    made.close()


def test_a_download_is_in_the_log_when_note_returns(downloads: Downloads) -> None:
    downloads.note(replace(ONE, part="bytes 0-99"), NOW)
    (noted,) = downloads.listed()
    assert (noted.number, noted.at, noted.download) == (1, NOW, replace(ONE, part="bytes 0-99"))


def test_many_at_once_are_numbered_without_gaps_and_none_is_lost(downloads: Downloads) -> None:
    files = [f"table_{number}.csv" for number in range(400)]
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda name: downloads.note(replace(ONE, file=name)), files))
    noted = list(downloads.listed())
    assert [one.number for one in noted] == list(range(1, 401))
    assert sorted(one.download.file for one in noted) == sorted(files)


def test_nothing_is_given_out_that_cannot_be_written_down(downloads: Downloads) -> None:
    with downloads.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE downloads"))
    with pytest.raises(LedgerError):
        downloads.note(ONE)


def test_the_log_goes_on_after_it_was_closed(downloads: Downloads) -> None:
    downloads.note(ONE)
    downloads.close()
    downloads.note(ONE)
    assert len(list(downloads.listed())) == 2


def test_the_log_is_told_by_recipient_edition_and_time(downloads: Downloads) -> None:
    hour = dt.timedelta(hours=1)
    for place, one in enumerate([ONE, replace(ONE, recipient="north"), replace(ONE, revision=2)]):
        downloads.note(one, NOW + place * hour)
    assert [noted.number for noted in downloads.listed(recipient="acme")] == [1, 3]
    assert [noted.number for noted in downloads.listed(product="weekly_audience", revision=2)] == [3]
    assert [noted.number for noted in downloads.listed(since=NOW + hour, until=NOW + 2 * hour)] == [2]


def test_whoever_got_anything_of_an_edition_is_listed_once(downloads: Downloads) -> None:
    for one in (ONE, replace(ONE, file="manifest.json"), replace(ONE, recipient="north"), replace(ONE, revision=2)):
        downloads.note(one, NOW)
    found = downloads.readers("weekly_audience", "2026-W41", 1)
    assert [(reader.recipient, reader.files) for reader in found] == [("acme", 2), ("north", 1)]


def test_no_line_is_ever_changed(downloads: Downloads) -> None:
    downloads.note(ONE)
    for change in (DOWNLOADS.delete(), DOWNLOADS.update().values(recipient="north")):
        with pytest.raises(LedgerError), downloads.database.writing() as connection:
            connection.execute(change)
