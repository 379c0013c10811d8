"""Recipients' stores hold what these may read, once, in order, and give back what is withdrawn."""

from __future__ import annotations

import datetime as dt
import json
import resource
import shutil
from pathlib import Path

import pytest

from pipeline.delivery.downloads import Downloads, Way
from pipeline.delivery.sending import send, take_back
from pipeline.publication.withdrawal import withdraw
from pipeline.review.reviewers import Signer
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace
from tests.delivering import DeliveredSite, small
from tests.sending import EDITION, Place, entitled, folder_place, forget, releases_in, sent

KEY = ReleaseKey("weekly_audience", "2026-W41", 1)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signer]:
    site = DeliveredSite(tmp_path_factory.mktemp("site"))
    signer = site.reviewer()
    site.deliver(small(release="weekly_audience"), "2026-W41", signer)
    return site.home, signer


@pytest.fixture
def workspace(published: tuple[Path, Signer], tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(published[0], tmp_path / "site")))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return folder_place(tmp_path / "store")


def take_away(workspace: Workspace, published: tuple[Path, Signer]) -> None:
    withdraw(workspace, KEY, published[1], "The logs of Friday were missing")


def noted(workspace: Workspace) -> list[str]:
    """What the log of downloads has, by file."""
    log = list(Downloads.of(workspace).listed())
    assert {(one.download.recipient, one.download.way, one.download.token) for one in log} <= {
        ("acme", Way.STORE, None)
    }
    return [one.download.file for one in log]


def test_a_store_gets_what_is_published_and_every_file_stands_in_the_log(workspace: Workspace, place: Place) -> None:
    (report,) = sent(workspace, place).stores
    assert (report.sent, report.withdrawn, report.problems) == ((EDITION,), (), ())
    contents, shelf = place.contents(), workspace.published / "partner"
    (files,) = releases_in(contents).values()
    assert files == {path.name: path.read_bytes() for path in (workspace.published / EDITION).iterdir()}
    for page in ("index.json", "CHANGELOG.md", "weekly_audience/latest.json"):
        assert contents[f"partner/{page}"] == (shelf / page).read_bytes()
    assert sorted(noted(workspace)) == sorted(files)
    assert noted(workspace)[-3:] == ["SHA256SUMS", "manifest.json.minisig", "manifest.json"]


def test_nothing_is_sent_twice_also_where_the_recipient_took_it_away(workspace: Workspace, place: Place) -> None:
    sent(workspace, place)
    before = noted(workspace)
    shutil.rmtree(Path(place.root) / EDITION)
    (report,) = sent(workspace, place).stores
    assert (report.sent, noted(workspace)) == ((), before)


def test_a_store_that_is_forgotten_is_compared_and_nothing_is_sent_again(workspace: Workspace, place: Place) -> None:
    sent(workspace, place)
    before, stamps = noted(workspace), {path: path.stat().st_mtime_ns for path in Path(place.root).rglob("r1/*")}
    forget(workspace)
    assert sent(workspace, place).problems == ()
    assert noted(workspace) == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.parametrize("size", ["same", "other"])
def test_another_file_in_the_way_is_refused_and_left_as_it_is(workspace: Workspace, place: Place, size: str) -> None:
    mine = (workspace.published / EDITION / "by_browser.csv").read_bytes()
    tampered = b"?" * len(mine) if size == "same" else b"another"
    place.write(f"{EDITION}/by_browser.csv", tampered)
    (problem,) = sent(workspace, place).problems
    assert "nothing in a store is overwritten" in problem
    assert f"{EDITION}/by_browser.csv" in problem
    assert place.contents()[f"{EDITION}/by_browser.csv"] == tampered
    assert releases_in(place.contents()) == {}
    (Path(place.root) / EDITION / "by_browser.csv").unlink()
    assert sent(workspace, place).problems == ()
    assert list(releases_in(place.contents())) == [EDITION]


def test_nothing_is_given_out_that_the_log_does_not_have(
    workspace: Workspace, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.errors import LedgerError

    def refuse(*_: object) -> None:
        raise LedgerError("the log must be writable")

    monkeypatch.setattr(Downloads, "note", refuse)
    assert "the log must be writable" in sent(workspace, place).problems[0]
    assert not [path for path in place.contents() if path.startswith(EDITION)]


def test_what_is_under_embargo_past_its_days_or_somebody_elses_is_never_sent(
    workspace: Workspace, place: Place
) -> None:
    now = dt.datetime.now(dt.UTC)
    held_back = entitled(place.address, embargo_hours=2)
    for nothing in (
        held_back,
        entitled(place.address, kept_days=1),
        entitled(place.address, until="2026-01-01"),
        entitled(place.address, audience="advertiser"),
        entitled(),
    ):
        send(workspace, nothing, now + dt.timedelta(days=20) if nothing is not held_back else now)
        assert releases_in(place.contents()) == {}
        assert noted(workspace) == []
    send(workspace, held_back, now + dt.timedelta(hours=3))
    assert list(releases_in(place.contents())) == [EDITION]


def test_a_store_that_cannot_be_reached_stops_no_other(workspace: Workspace, place: Place, tmp_path: Path) -> None:
    report = send(workspace, entitled(f"file://{tmp_path}/not-mounted", "s3://inbox", place.address))
    assert [bool(one.problems) for one in report.stores] == [True, True, False]
    assert list(releases_in(place.contents())) == [EDITION]


@pytest.mark.parametrize("how", ["take_back", "send", "ended"])
def test_what_is_withdrawn_is_taken_back_and_its_tombstone_stays(
    workspace: Workspace, place: Place, published: tuple[Path, Signer], how: str
) -> None:
    sent(workspace, place)
    take_away(workspace, published)
    if how == "take_back":
        report = take_back(workspace, entitled(place.address), KEY)
    else:
        ends = {"until": "2026-01-01"} if how == "ended" else {}
        report = send(workspace, entitled(place.address, **ends))
    assert (report.stores[0].withdrawn, report.problems) == ((EDITION,), ())
    contents, folder = place.contents(), workspace.published / EDITION
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.rpartition("/")[2]: content for path, content in contents.items() if path.startswith(EDITION)
    }
    assert "partner/weekly_audience/latest.json" not in contents
    assert b"withdrawn, do not use it any more" in contents["partner/CHANGELOG.md"]
    (edition,) = json.loads(contents["partner/index.json"])["products"][0]["periods"][0]["revisions"]
    assert edition["status"] == "withdrawn"


def test_a_bundle_that_was_half_sent_when_it_was_withdrawn_leaves_only_a_tombstone(
    workspace: Workspace, place: Place, published: tuple[Path, Signer]
) -> None:
    for name in ("by_browser.csv", ".by_section.csv.0a0a0a0a.partial"):
        place.write(f"{EDITION}/{name}", b"half")
    take_away(workspace, published)
    sent(workspace, place)
    left = {path for path in place.contents() if path.startswith(EDITION)}
    assert left == {f"{EDITION}/WITHDRAWN.json", f"{EDITION}/WITHDRAWN.json.minisig"}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_full_disk_of_a_store_leaves_no_half_release(
    workspace: Workspace, place: Place, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = int(share * max(path.stat().st_size for path in (workspace.published / EDITION).iterdir()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patched:
        patched.setattr(Downloads, "note", lambda *_: None)  # its database is on another disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            report = sent(workspace, place)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "a file may not be so large" in report.problems[0]
    assert releases_in(place.contents()) == {}
    assert sent(workspace, place).problems == ()
    assert list(releases_in(place.contents())) == [EDITION]
