"""The periodic review: each promise broken on purpose, and exactly the check of that promise fails."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import flow_rights
from pipeline.errors import ChecksFailedError
from pipeline.periods import Period
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Origin
from pipeline.privacy.reservations import reservation_of
from pipeline.publication.bundle import publish_release
from pipeline.publication.manifest import Approved, candidate_sha256
from pipeline.publication.withdrawal import withdraw
from pipeline.release.artefact import PrivateRelease
from pipeline.review.decisions import Register
from pipeline.rights.periodic import Findings, review_everything, write_report
from pipeline.site import load_site
from pipeline.spec import ReleaseKey, bind, load_specification
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace
from tests.reviewing import reviewer
from tests.unit.rights.breakages import (
    MUTATIONS,
    NOW,
    a_byte_of_a_table,
    a_purpose_withdrawn,
    change_ledger,
    change_yaml,
)
from tests.unit.rights.homes import (
    CHECKS,
    KEY,
    RELEASE,
    draw_weekly,
    enter,
    publish_weekly,
    write_home,
)

NAMES = (
    "Bundles", "Shelves", "Entitlements", "Recipients", "Approvals", "Purposes", "Ledger", "Budget", "Specifications",
    "Requests", "Retention", "Keys",
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a drawn and checked release: to be copied, never changed."""
    home: Path = tmp_path_factory.mktemp("drawn") / "site"
    with pytest.MonkeyPatch.context() as patch:
        draw_weekly(enter(patch, write_home(home).home))
    return home


@pytest.fixture(scope="module")
def published_once(drawn_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, approved and published."""
    home = tmp_path_factory.mktemp("published") / "site"
    shutil.copytree(drawn_once, home)
    with pytest.MonkeyPatch.context() as patch:
        publish_weekly(enter(patch, home))
    return home


@pytest.fixture
def drawn(drawn_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    return enter(monkeypatch, shutil.copytree(drawn_once, tmp_path / "site"))


@pytest.fixture
def published(published_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    return enter(monkeypatch, shutil.copytree(published_once, tmp_path / "site"))


def review(workspace: Workspace, now: dt.datetime = NOW) -> Findings:
    return review_everything(workspace, load_site(workspace.site_file), now)


def failed(workspace: Workspace) -> dict[str, list[str]]:
    return {one.name: [failure.words for failure in one.failures] for one in review(workspace).failed}


def test_a_site_that_keeps_its_promises_passes_and_everything_was_looked_at(published: Workspace) -> None:
    found = review(published)
    assert [(one.name, [failure.words for failure in one.failures]) for one in found.failed] == []
    assert tuple(one.name for one in found.findings) == NAMES
    looked_at = {one.name: one.looked_at for one in found.findings}
    assert looked_at == {
        "Bundles": 2, "Shelves": 2, "Entitlements": 2, "Recipients": 0, "Approvals": 1, "Purposes": 1, "Ledger": 7,
        "Budget": 1, "Specifications": 1, "Requests": 0, "Retention": 1, "Keys": 2,
    }  # fmt: skip
    assert found.require() is found
    assert found.told == ()


@pytest.mark.parametrize(
    ("check", "change"),
    [(check, change) for check, changes in MUTATIONS.items() for change in changes],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_is_broken_fails_its_own_check_alone(
    published: Workspace, check: str, change: Callable[[Workspace], None]
) -> None:
    change(published)
    found = review(published)
    assert [one.name for one in found.failed] == [check], failed(published)
    assert all(failure.words and failure.remedy for one in found.failed for failure in one.failures)
    with pytest.raises(ChecksFailedError, match=f"1 of 12 checks failed \\({check}: "):
        found.require()


def test_every_check_has_a_mutation() -> None:
    assert tuple(MUTATIONS) == NAMES


def decide(workspace: Workspace, key: ReleaseKey = KEY) -> None:
    Register.of(workspace).approve(key, reviewer(workspace), "fine")


def forged(workspace: Workspace, **audiences: tuple[str, ...]) -> None:
    """Publish what was drawn, for other audiences and tables, and record it as if it were rightly published."""
    ledger = Ledger.open(workspace.ledger)
    release = PrivateRelease.from_bytes(ledger.artefact(KEY) or b"")
    told = {Audience(name): tables for name, tables in audiences.items()} or release.header.audiences
    widened = PrivateRelease(release.header.model_copy(update={"audiences": told}), release.tables)
    approved = Approved(candidate_sha256(widened, CHECKS), "nobody", "2026-11-20T09:00:00+00:00", scripted=False)
    bundles = publish_release(workspace, widened, CHECKS, approved)
    manifests = {one.audience: one.manifest_sha256 for one in bundles}
    payload = {"candidate_sha256": Register.of(workspace).candidate(KEY).sha256, "manifests": manifests}
    ledger.record(EntryKind.PUBLISHED, KEY, payload)


def test_a_table_beyond_what_was_approved_is_found_in_a_bundle_that_is_signed_and_recorded(drawn: Workspace) -> None:
    decide(drawn)
    forged(drawn, partner=("by_country", "by_browser"), reseller=("by_country", "by_browser"))
    assert failed(drawn) == {"Entitlements": [f"reseller/{KEY}: not granted to this audience: by_browser"]}


def test_a_release_that_nobody_approved_is_found(drawn: Workspace) -> None:
    # Its specification was approved with another period's release: only this publication has nobody's word.
    ledger, before = Ledger.open(drawn.ledger), ReleaseKey(RELEASE, "2026-W40")
    site = load_site(drawn.site_file)
    bound = bind(load_specification(drawn.releases / f"{RELEASE}.yaml"), site)
    ledger.reserve(before, reservation_of(bound, Period.parse("2026-W40")), bound.cap)
    ledger.record_draw(before, b"tables", origin=Origin(bound.specification.canonical))
    ledger.record_checks(before, b"[]", passed=True)
    decide(drawn, before)
    forged(drawn)
    assert failed(drawn) == {
        "Approvals": [
            f"{KEY} was published, and a privacy reviewer must approve a release before it is published: "
            f"no decision on {KEY}"
        ]
    }


def test_a_withdrawn_release_may_be_gone_and_its_purpose_withdrawn(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), "published in error")
    shutil.rmtree(published.published / "partner")
    a_purpose_withdrawn(published)
    assert failed(published) == {}


def test_what_was_withdrawn_and_is_still_there_is_found(published: Workspace) -> None:
    Register.of(published).withdraw(KEY, reviewer(published, "ben"), "published in error")
    assert failed(published) == {
        "Bundles": [f"{audience}/{KEY} is withdrawn, and still there" for audience in ("partner", "reseller")]
    }


def test_a_tombstone_that_somebody_changed_is_found(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), "published in error")
    stone = published.published / "partner" / RELEASE / KEY.period / "r1" / "WITHDRAWN.json"
    stone.write_text(stone.read_text("utf-8").replace("in error", "rightly"), "utf-8")
    assert list(failed(published)) == ["Bundles"]


def test_what_todays_specification_grants_no_more_is_told_beside_its_change(published: Workspace) -> None:
    change_yaml(published.releases / f"{RELEASE}.yaml", lambda one: one.update(audiences={"partner": ["by_country"]}))
    found = review(published)
    assert [one.name for one in found.failed] == ["Specifications"]
    assert found.told == (
        f"partner/{KEY} stays published; the specification of today grants this audience no by_browser.",
        f"reseller/{KEY} stays published; the specification of today grants this audience no by_country.",
    )


def test_a_scripted_approval_is_told(drawn: Workspace) -> None:
    signer = reviewer(drawn, "scripted-reviewer", scripted=True)
    Register.of(drawn).approve(KEY, signer, "trial run")
    forged(drawn)
    assert review(drawn).told == (f"A script approved {KEY}: no person looked at it.",)


def test_what_was_due_yesterday_is_left_to_tonights_run(published: Workspace) -> None:
    due = dt.datetime(2027, 1, 9, 23, tzinfo=dt.UTC)  # of the week that is kept
    assert review(published, due + dt.timedelta(hours=23)).passed
    assert [one.name for one in review(published, due + dt.timedelta(hours=25)).failed] == ["Retention"]


def test_a_site_without_anything_passes(tmp_path: Path) -> None:
    write_home(tmp_path)
    shutil.rmtree(tmp_path / "staging")
    shutil.rmtree(tmp_path / "keys")
    (tmp_path / "releases" / f"{RELEASE}.yaml").unlink()
    assert review(Workspace(tmp_path)).passed


def test_a_check_that_cannot_be_made_fails_and_the_others_are_made(published: Workspace) -> None:
    # A reservation that is none: the budget cannot be told, and the chain is broken.
    change_ledger(published, "entries", "UPDATE entries SET payload = '{}' WHERE kind = 'reserved'")
    found = failed(published)
    assert {"Ledger", "Budget"} <= set(found)
    assert "Bundles" not in found
    assert len(review(published).findings) == len(NAMES)


def test_the_report_is_written_before_anything_fails_and_for_the_month_of_the_site(published: Workspace) -> None:
    a_byte_of_a_table(published)
    found = review(published, dt.datetime(2026, 11, 30, 23, 30, tzinfo=dt.UTC))  # December in Berlin
    page = write_report(published, found)
    assert page == published.home / "reports" / "periodic" / "2026-12" / "report.html"
    facts = json.loads(page.with_name("report.json").read_text("utf-8"))
    assert (facts["passed"], facts["month"], len(facts["checks"])) == (False, "2026-12", len(NAMES))
    (broken,) = [one for one in facts["checks"] if not one["passed"]]
    assert broken["failures"][0]["words"].startswith(
        f"partner/{KEY} is not what its signature and manifest say: 1 failed: "
    )
    text = page.read_text("utf-8")
    assert broken["failures"][0]["words"] in text
    assert "1 check of 12 failed" in text
    assert "http" not in text.replace("http-equiv", "")
    assert not list(page.parent.glob(".*"))


def test_a_review_changes_nothing(published: Workspace) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in published.home.rglob("*") if path.is_file()}

    before = everything()
    review(published)
    assert everything() == before


def test_the_page_escapes_what_it_tells(published: Workspace) -> None:
    (published.published / "<script>alert(1)<").mkdir()
    text = write_report(published, review(published)).read_text("utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;" in text


def test_the_task_writes_the_report_and_fails_where_anything_does(published: Workspace) -> None:
    change_yaml(published.site_file, lambda site: site.update(retention={"staging_days": 3650}))  # whenever this runs
    report = flow_rights.review_everything()
    assert (published.home / report).is_file()
    a_byte_of_a_table(published)
    with pytest.raises(ChecksFailedError, match=r"1 of 12 checks failed \(Bundles: partner/weekly/2026-W41/r1 is not"):
        flow_rights.review_everything()
    assert "1 check of 12 failed" in (published.home / report).read_text("utf-8")
