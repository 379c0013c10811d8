"""A ledger that is older than what was drawn or published is noticed wherever it is put back, and draws nothing."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import cli, flow
from pipeline.delivery.approvals import in_force
from pipeline.delivery.sending import send
from pipeline.errors import LedgerError, RecoveryError
from pipeline.privacy import chain, database
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.head import Head, advance, move_to, require_seen, seen_by
from pipeline.privacy.ledger import Ledger
from pipeline.publication import known as editions
from pipeline.publication.key_changes import rotate
from pipeline.publication.withdrawal import withdraw
from pipeline.recovery.restoring import Terms, look
from pipeline.rights.periodic import kept
from pipeline.rights.periodic.evidence import Evidence
from pipeline.site import load_site
from pipeline.workspace import Workspace
from tests.delivering import DeliveredSite
from tests.unit.recovery.recovering import STANDING, WEEKLY, Known, copied, files_of
from tests.unit.rights.homes import KEY, PERIOD, RELEASE, draw_weekly, enter, publish_weekly, write_home

ONE = Head(number=1, sha256="1" * 64)


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A ledger of three notes that the site has seen."""
    workspace = enter(monkeypatch, tmp_path)
    _note(workspace, 3)
    advance(workspace)
    return workspace


def _note(workspace: Workspace, times: int) -> None:
    ledger = Ledger.open(workspace.ledger)
    for number in range(times):
        ledger.note(EntryKind.PURGED, "staging.visitors", "2026-W41", {"number": number, "of": times})


def test_a_ledger_that_has_grown_is_the_same_ledger(noted: Workspace) -> None:
    require_seen(noted)
    _note(noted, 2)
    require_seen(noted)
    seen = seen_by(noted)
    assert seen is not None
    assert seen.number == 3


@pytest.mark.parametrize(("entries", "told"), [(0, "only 0"), (2, "only 2"), (5, "another")])
def test_a_shorter_ledger_and_another_one_are_refused(noted: Workspace, entries: int, told: str) -> None:
    (noted.home / "ledger.db").unlink()
    _note(noted, entries)
    with pytest.raises(LedgerError, match=told):
        require_seen(noted)


def test_what_was_seen_only_moves_forward(noted: Workspace) -> None:
    before = noted.ledger_head.read_bytes()
    move_to(noted, ONE)
    assert noted.ledger_head.read_bytes() == before
    heads = [Head(number=number, sha256=f"{number:064x}") for number in range(4, 60)]
    threads = [threading.Thread(target=move_to, args=(noted, one)) for one in reversed(heads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen_by(noted) == heads[-1]


@pytest.mark.parametrize("content", [b"", b"3", b'{"number":3}', b'{"number":0,"sha256":""}', b"\xff"])
def test_a_head_that_cannot_be_read_lets_nothing_pass(noted: Workspace, content: bytes) -> None:
    noted.ledger_head.write_bytes(content)
    with pytest.raises(LedgerError, match="readable"):
        require_seen(noted)
    with pytest.raises(LedgerError, match="readable"):
        advance(noted)


def test_a_site_that_has_seen_nothing_yet_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = enter(monkeypatch, tmp_path)
    require_seen(workspace)
    advance(workspace)
    assert not workspace.ledger_head.exists()


@dataclass(frozen=True)
class Story:
    """A site whose release was drawn and published, and its ledger as it was before each.

    Attributes:
        workspace: The site.
        before: Its ledgers, by what had not been done yet.
    """

    workspace: Workspace
    before: dict[str, Path]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with pytest.MonkeyPatch.context() as patch:
        workspace = enter(patch, write_home(tmp_path_factory.mktemp("site") / "home").home)
        ledger, before = workspace.home / "ledger.db", dict[str, Path]()
        Ledger.open(ledger)
        for name, step in (("drawn", draw_weekly), ("published", publish_weekly)):
            before[name] = Path(shutil.copy(ledger, workspace.home.parent / f"before-{name}.db"))
            step(workspace)
        yield Story(workspace, before)


@pytest.fixture
def set_back(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of that site, with the ledger from before anything was drawn."""
    workspace = enter(monkeypatch, copied(story.workspace, tmp_path / "home").home)
    shutil.copy(story.before["drawn"], workspace.home / "ledger.db")
    return workspace


def test_nothing_is_drawn_or_published_from_an_older_ledger(set_back: Workspace) -> None:
    before = files_of(set_back.home)
    with pytest.raises(LedgerError, match="only 0 where entry"):
        flow.draw(RELEASE, PERIOD)
    with pytest.raises(LedgerError, match="only 0 where entry"):
        flow.publish(RELEASE, PERIOD)
    assert files_of(set_back.home) == before
    assert Ledger.open(set_back.ledger).reservations() == ()


def test_a_check_of_the_site_and_the_periodic_review_tell_of_it(set_back: Workspace) -> None:
    told = CliRunner().invoke(cli.main, ["--home", str(set_back.home), "check"])
    assert (told.exit_code, "every entry that this site has seen" in told.stderr) == (7, True)
    site = load_site(set_back.site_file)
    evidence = Evidence(set_back, site, dt.datetime.now(dt.UTC), Ledger.open(set_back.ledger))
    assert ["every entry that this site has seen" in one.words for one in kept.unbroken(evidence).failures] == [True]


def test_what_stands_on_the_shelves_is_enough_to_notice(set_back: Workspace) -> None:
    set_back.ledger_head.unlink()
    with pytest.raises(LedgerError, match=f"everything that was published.*partner/{KEY}, reseller/{KEY}"):
        flow.draw(RELEASE, PERIOD)
    assert Ledger.open(set_back.ledger).reservations() == ()


def test_a_draw_that_nobody_has_seen_published_is_enough_to_notice(set_back: Workspace) -> None:
    shutil.rmtree(set_back.published)
    with pytest.raises(LedgerError, match="only 0 where entry"):
        flow.draw(RELEASE, PERIOD)


def test_without_these_looks_it_would_be_drawn_and_paid_for_again(
    set_back: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.privacy.head.require_seen", lambda _: None)
    monkeypatch.setattr(editions, "require_known", lambda *_: None)
    flow.draw(RELEASE, PERIOD)
    assert [key for key, _ in Ledger.open(set_back.ledger).reservations()] == [KEY]


def test_a_ledger_from_before_the_publication_alone_is_refused_too(set_back: Workspace, story: Story) -> None:
    shutil.copy(story.before["published"], set_back.home / "ledger.db")
    with pytest.raises(LedgerError, match="where entry"):
        flow.publish(RELEASE, PERIOD)


def test_the_newest_ledger_goes_on(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = enter(monkeypatch, copied(story.workspace, tmp_path / "home").home)
    before = Ledger.open(workspace.ledger).head()
    assert flow.draw(RELEASE, PERIOD) == str(KEY)
    assert flow.publish(RELEASE, PERIOD) == str(KEY)
    assert Ledger.open(workspace.ledger).head() == before
    seen = seen_by(workspace)
    assert seen is not None
    assert (seen.number, seen.sha256) == before


# Backups


@pytest.fixture
def later(known: Known, backup: Path, tmp_path: Path) -> DeliveredSite:
    """The site as it went on after the backup: its shelves are those of a copy."""
    return DeliveredSite(copied(known.workspace, tmp_path / "later").home)


@pytest.fixture
def home(later: DeliveredSite, tmp_path: Path) -> Path:
    """Where the backup is restored; what recipients can read survived, once ``survive`` says so."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def survive(later: DeliveredSite, home: Path, name: str = "published") -> None:
    source = later.home / name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, home / name)


def test_a_release_that_was_published_since_is_in_the_way(
    known: Known, backup: Path, later: DeliveredSite, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later.deliver(WEEKLY, "2026-W42", later.reviewer())
    survive(later, home)
    before = files_of(home)
    for restoring in (known.restored, lambda path, into: look(path, known.key, Workspace(into), Terms())):
        with pytest.raises(LedgerError, match=r"partner/weekly/2026-W42/r1, which it does not know"):
            restoring(backup, home)
    assert files_of(home) == before
    monkeypatch.setattr(editions.Knowledge, "strangers", lambda *_: ())
    known.restored(backup, home)  # were it not for that look, it would be restored, and W42 drawn again


def test_another_draw_of_the_same_release_is_in_the_way(
    known: Known, backup: Path, later: DeliveredSite, home: Path
) -> None:
    survive(later, home)
    manifest = Workspace(home).bundle("partner", STANDING.release, STANDING.period, 1) / "manifest.json"
    with database.at(later.workspace.ledger).reading() as connection:
        drawn = chain.find(connection, EntryKind.DRAWN, STANDING)
    assert drawn is not None
    manifest.write_text(manifest.read_text().replace(drawn.payload["artefact_sha256"], "0" * 64))
    with pytest.raises(LedgerError, match=r"partner/weekly/2026-W41/r1"):
        known.restored(backup, home)


def test_a_release_that_was_withdrawn_since_is_in_the_way(
    known: Known, backup: Path, later: DeliveredSite, home: Path
) -> None:
    withdraw(later.workspace, STANDING, later.reviewer(), "A log was missing")
    survive(later, home)
    with pytest.raises(LedgerError, match=r"partner/weekly/2026-W41/r1"):
        known.restored(backup, home)


def test_a_key_that_was_changed_since_is_in_the_way(
    known: Known, backup: Path, later: DeliveredSite, home: Path
) -> None:
    rotate(later.workspace, "a new year", "ana")
    survive(later, home)
    with pytest.raises(RecoveryError, match="signs today"):
        known.restored(backup, home)


def test_a_draw_since_is_in_the_way_although_nothing_was_published(
    known: Known, backup: Path, later: DeliveredSite, home: Path
) -> None:
    later.waiting(WEEKLY, "2026-W42")
    advance(later.workspace)
    survive(later, home, "ledger.head")
    with pytest.raises(LedgerError, match="that this site has seen"):
        known.restored(backup, home)
    (later.home / "ledger.db").unlink()
    with pytest.raises(LedgerError, match="that this site has seen"):
        known.restored(backup, later.home, Terms(ledger_only=True))
    assert not (home / "site.yaml").exists()


def test_a_copy_of_the_shelves_can_be_laid_beside_it(
    known: Known, backup: Path, later: DeliveredSite, home: Path
) -> None:
    known.restored(backup, home / "good", Terms(beside=(later.workspace.published,)))
    later.deliver(WEEKLY, "2026-W42", later.reviewer())
    with pytest.raises(LedgerError, match=r"2026-W42/r1"):
        known.restored(backup, home / "bad", Terms(beside=(later.workspace.published,)))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def with_store(known: Known, later: DeliveredSite, store: Path, tmp_path: Path) -> Path:
    """A backup of the site from when its recipient had a store, and one release in it."""
    acme = {"name": "acme", "title": "Acme", "audience": "partner", "receives": {"weekly": {}}}
    later.entitle(later.reviewer(), {"recipients": [acme | {"stores": [f"file://{store}"]}]})
    send(later.workspace, in_force(later.workspace))
    return known.backed_up(tmp_path / "stored.age", later.workspace)


def test_recipients_stores_are_looked_into(
    known: Known, with_store: Path, later: DeliveredSite, home: Path, store: Path
) -> None:
    known.restored(with_store, home / "good")
    later.deliver(WEEKLY, "2026-W42", later.reviewer())
    assert send(later.workspace, in_force(later.workspace)).problems == ()
    with pytest.raises(LedgerError, match=rf"{store}/partner/weekly/2026-W42/r1"):
        known.restored(with_store, home / "bad")
    assert not files_of(home / "bad")
    known.restored(with_store, home / "blind", Terms(stores=False))


def test_a_store_that_cannot_be_reached_is_no_store_without_releases(
    known: Known, with_store: Path, home: Path, store: Path
) -> None:
    shutil.rmtree(store)
    with pytest.raises(RecoveryError, match="--without-stores"):
        known.restored(with_store, home)
    assert not files_of(home)
