"""Notes stand in the chain with everything else, and whoever reads of releases passes over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner, Result

from pipeline import flow
from pipeline.cli import main
from pipeline.errors import LedgerError
from pipeline.local.summary import snapshot
from pipeline.privacy.accountant import Charge
from pipeline.privacy.balance import by_release
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Origin
from pipeline.privacy.reservations import Reservation
from pipeline.review import history
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Reviewers
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, Workspace
from tests.builders import site_document
from tests.reviewing import reviewer, specification
from tests.unit.publication.releases import release_of

CAP = BudgetCap(epsilon=30, delta=1e-5)
RELEASE = release_of(site="Test site")
KEY = RELEASE.key
ASKED = specification(release=KEY.release)
CHECKS = Verdicts((Verdict("release", "countries", "no group is smaller than k", True),)).to_bytes()
STAGING, PERIOD = "staging.visitors", "2026-W41"
PURGED = {"population": "visitors", "period": PERIOD, "staged": "2026-10-12T00:30:00+00:00"}


def register(ledger: Ledger, folder: Path = Path("nowhere")) -> Register:
    return Register(ledger, Reviewers(folder))


def note_all(ledger: Ledger) -> None:
    """Every kind of note, about what looks as much like a release as it may."""
    for staged in ("first", "second"):
        assert ledger.note(EntryKind.PURGED, STAGING, PERIOD, PURGED | {"staged": staged})
    ledger.note(EntryKind.OBEYED, "subject_requests", "", {"requests": ["R-1"]})
    ledger.note(EntryKind.OBEYED, KEY.release, KEY.period, {"requests": ["R-2"]})


def release_with(ledger: Ledger, noting: bool) -> None:
    """One release up to the reviewer's decision, with notes between all steps, or without any."""
    steps: list[Callable[[], object]] = [
        lambda: ledger.reserve(KEY, reservation(), CAP),
        lambda: ledger.record_draw(KEY, RELEASE.to_bytes(), origin=Origin(ASKED.canonical)),
        lambda: ledger.record_checks(KEY, CHECKS, passed=True),
    ]
    for number, step in enumerate(steps):
        if noting:
            ledger.note(EntryKind.PURGED, STAGING, PERIOD, PURGED | {"staged": f"before step {number}"})
        step()
    if noting:
        note_all(ledger)


def reservation() -> Reservation:
    return Reservation.model_validate(
        {
            "population": "visitors",
            "period_start": "2026-10-05",
            "period_end": "2026-10-12",
            "specification_sha256": ASKED.sha256,
            "charge": Charge(counts={"1": 1}, pure={}, delta=1e-9),
        }
    )


@pytest.fixture
def noted(address: str) -> Ledger:
    ledger = Ledger.open(address)
    release_with(ledger, noting=True)
    return ledger


@pytest.fixture
def plain() -> Ledger:
    ledger = Ledger.in_memory()
    release_with(ledger, noting=False)
    return ledger


@pytest.fixture
def home(noted: Ledger, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site whose ledger has notes between a release's entries."""
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site_document()), "utf-8")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(LEDGER_VARIABLE, address)
    return tmp_path


def command(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), *arguments], catch_exceptions=False)


def test_notes_continue_the_chain_and_are_read_by_kind_and_subject(noted: Ledger) -> None:
    found = noted.notes(EntryKind.PURGED, STAGING)
    assert [note.payload["staged"] for note in found][-2:] == ["first", "second"]
    assert {note.key for note in found} == {ReleaseKey(STAGING, PERIOD, 0)}
    assert noted.notes(EntryKind.PURGED, "staging.customers") == ()
    assert len(noted.notes(EntryKind.OBEYED)) == 2
    assert len(noted.entries()) == 10  # which requires the chain


def test_the_same_note_is_written_once(address: str) -> None:
    ledger = Ledger.open(address)
    assert ledger.note(EntryKind.PURGED, STAGING, PERIOD, PURGED) is True
    assert ledger.note(EntryKind.PURGED, STAGING, PERIOD, dict(reversed(PURGED.items()))) is False
    assert ledger.note(EntryKind.PURGED, "staging.customers", PERIOD, PURGED) is True
    assert len(ledger.entries()) == 2


def test_a_note_cannot_be_changed_without_breaking_the_chain(address: str) -> None:
    ledger = Ledger.open(address)
    note_all(ledger)
    table = "ON entries" if address.startswith("postgresql") else ""
    with sa.create_engine(address).begin() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER entries_keep_update {table}")
        connection.exec_driver_sql("UPDATE entries SET payload = '{}' WHERE number = 2")
    with pytest.raises(LedgerError, match="a break at entry 2"):
        ledger.entries()


def test_a_note_is_of_no_release_and_an_entry_of_a_release_is_no_note(noted: Ledger) -> None:
    with pytest.raises(AssertionError):
        noted.record(EntryKind.PURGED, KEY, {})
    with pytest.raises(AssertionError):
        noted.note(EntryKind.PUBLISHED, STAGING, PERIOD, {})


def test_a_release_stands_where_it_would_without_notes(noted: Ledger, plain: Ledger) -> None:
    asked: list[Callable[[Ledger], object]] = [
        lambda ledger: register(ledger).waiting(),
        lambda ledger: ledger.state(KEY),
        lambda ledger: ledger.standing(KEY.release, KEY.period),
        lambda ledger: ledger.reservations(),
        lambda ledger: ledger.spent(Population.VISITORS, dt.date(2026, 10, 12), CAP),
        lambda ledger: by_release(ledger, {Population.VISITORS: CAP}),
        lambda ledger: history.reservation(ledger, KEY),
        lambda ledger: history.history(register(ledger), KEY, CAP).artefact_sha256,
        lambda ledger: [entry.kind for entry in ledger.entries(KEY)],
        lambda ledger: ledger.revision_for(KEY.release, KEY.period, "a file came late"),
    ]
    for ask in asked:
        assert ask(noted) == ask(plain)


def test_decisions_and_revisions_go_on_beside_notes(noted: Ledger, tmp_path: Path) -> None:
    ana = reviewer(Reviewers(tmp_path))
    register(noted, tmp_path).approve(KEY, ana, "fine")
    noted.note(EntryKind.PURGED, STAGING, PERIOD, PURGED | {"staged": "after the decision"})
    assert register(noted, tmp_path).approval(KEY).reviewer == "ana"
    assert noted.record(EntryKind.PUBLISHED, KEY, {"manifests": {}}) is True
    assert noted.state(KEY) is EntryKind.PUBLISHED
    assert register(noted, tmp_path).withdraw(KEY, ana, "published in error") is True


def test_review_list_shows_the_candidate_alone(home: Path) -> None:
    told = command(home, "review", "list")
    assert told.exit_code == 0
    assert f"{KEY.release} --period {PERIOD}" in told.output
    assert "1 waiting" in told.output


def test_budget_shows_one_release_and_its_period(home: Path) -> None:
    told = command(home, "budget")
    assert told.exit_code == 0
    assert STAGING not in told.output
    assert "subject_requests" not in told.output
    rows = [line for line in told.output.splitlines() if KEY.release in line]
    assert len(rows) == 1
    assert "checked" in rows[0]


def test_explain_tells_the_release_as_ever(home: Path) -> None:
    told = command(home, "explain", KEY.release, "--period", PERIOD)
    assert told.exit_code == 0
    assert "purged" not in told.output


def test_the_summary_of_a_run_counts_releases_only(home: Path) -> None:
    found = snapshot(Workspace(home))
    assert found.reserved == {KEY}
    assert set(found.artefacts) == {KEY}
    assert flow.standing(KEY.release, KEY.period) == KEY
