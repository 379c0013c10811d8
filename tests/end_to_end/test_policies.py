"""What the privacy policy does not cover is neither drawn nor published, and customers count by what binds them."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline import flow, flow_staging
from pipeline.cli import main
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.errors import PolicyError
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.policy import load_policy
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease
from pipeline.sample import write_sample
from pipeline.site import load_site
from pipeline.spec import ReleaseKey, bind, load_specification
from pipeline.vocabulary import Audience, Population
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.reviewing import approve

RELEASES = Path(__file__).parents[2] / "dags" / "releases"
RELEASE, PERIOD = "monthly_customers", "2026-10"
KEY = ReleaseKey(RELEASE, PERIOD)
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample site whose customers and visitors are staged and checked."""
    home: Path = tmp_path_factory.mktemp("staged")
    write_sample(home, lines=5_000, visitors=1_000, customers=2_000)
    shutil.copytree(RELEASES, home / "releases")
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, home)
        for population, period in (("customers", PERIOD), ("visitors", "2026-W41")):
            flow_staging.stage(population, period)
            flow_staging.check_staging(population, period)
    return home


@pytest.fixture
def home(staged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = Path(shutil.copytree(staged, tmp_path / "site"))
    enter(monkeypatch, copy)
    return copy


def enter(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv(HOME_VARIABLE, str(home))
    patch.setenv(RELEASES_VARIABLE, str(home / "releases"))


def demographics(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "--releases", str(home / "releases"), *arguments])


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = yaml.safe_load(path.read_text("utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document), "utf-8")


def withdraw(home: Path, day: dt.date = TODAY) -> None:
    """Add a version of the policy that has no purpose."""
    latest = {"version": "latest", "effective": day, "purposes": {}}
    edit(home / "policy.yaml", lambda document: document["versions"].append(latest))


def drawn_and_approved(home: Path) -> None:
    flow.draw(RELEASE, PERIOD)
    flow.validate(RELEASE, PERIOD)
    approve(KEY.release, KEY.period)


def entries(home: Path) -> int:
    return len(Ledger.open(Workspace(home).ledger).entries())


def test_a_purpose_that_is_withdrawn_stops_the_draw_before_anything_is_spent(home: Path) -> None:
    withdraw(home)
    with pytest.raises(PolicyError, match=r"version latest .* no purpose 'aggregated_demographics'"):
        flow.draw(RELEASE, PERIOD)
    assert entries(home) == 0


def test_a_purpose_that_is_withdrawn_after_the_draw_stops_publication(home: Path) -> None:
    drawn_and_approved(home)
    withdraw(home)
    before = entries(home)
    with pytest.raises(PolicyError, match="version latest"):
        flow.publish(RELEASE, PERIOD)
    assert entries(home) == before
    assert not Workspace(home).published.exists()


def test_a_purpose_that_will_be_withdrawn_stands_until_then(home: Path) -> None:
    withdraw(home, TODAY + dt.timedelta(days=2))
    drawn_and_approved(home)
    assert flow.publish(RELEASE, PERIOD) == str(KEY)


@pytest.mark.parametrize(
    ("release", "change", "says"),
    [
        (RELEASE, {"purpose": "credit_scoring"}, "no purpose 'credit_scoring'"),
        (RELEASE, {"purpose": "site_trends"}, "purpose 'site_trends' not for customers"),
        ("weekly_audience", {"purpose": "Aggregated demographics"}, "no purpose 'Aggregated demographics'"),
    ],
)
def test_a_changed_purpose_is_refused(home: Path, release: str, change: dict[str, Any], says: str) -> None:
    edit(home / "releases" / f"{release}.yaml", lambda document: document.update(change))
    for command in (["check"], ["run", release, "--period", "2026-W41" if "weekly" in release else PERIOD]):
        refused = demographics(home, *command)
        assert refused.exit_code == 3
        assert says in " ".join(refused.stderr.split())
    assert entries(home) == 0


def test_an_added_audience_is_refused_until_a_version_of_the_policy_covers_it(home: Path) -> None:
    policy, covered = home / "policy.yaml", [Audience.PARTNER.value, Audience.AFFILIATE.value, Audience.RESELLER.value]

    def audiences(document: dict[str, Any], names: list[str]) -> None:
        document["versions"][-1]["purposes"]["aggregated_demographics"]["audiences"] = names

    edit(policy, lambda document: audiences(document, covered))
    refused = demographics(home, "check")
    assert refused.exit_code == 3
    assert "without audience advertiser" in " ".join(refused.stderr.split())
    edit(policy, lambda document: audiences(document, [*covered, Audience.ADVERTISER.value]))
    assert demographics(home, "check").exit_code == 0


def test_visitors_of_a_week_in_which_the_notice_changed_are_not_counted_for_the_new_use(home: Path) -> None:
    edit(home / "policy.yaml", lambda document: document["versions"][-1].update(effective=dt.date(2026, 10, 7)))
    assert demographics(home, "check").exit_code == 0
    with pytest.raises(PolicyError, match="version 2019-01 of the privacy policy, in force during 2026-W41"):
        flow.draw("weekly_audience", "2026-W41")
    assert entries(home) == 0


@pytest.mark.parametrize(
    "command", [["check"], ["run", RELEASE, "--period", PERIOD], ["publish", RELEASE, "--period", PERIOD]]
)
def test_without_a_policy_nothing_is_released(home: Path, command: list[str]) -> None:
    if command[0] == "publish":
        drawn_and_approved(home)
    (home / "policy.yaml").unlink()
    refused = demographics(home, *command)
    assert refused.exit_code == 3
    assert "must say what its privacy policy covers before anything is released" in " ".join(refused.stderr.split())
    assert not Workspace(home).published.exists()


def test_customers_count_by_the_version_that_binds_them(home: Path) -> None:
    workspace, month = Workspace(home), Period.parse(PERIOD)
    bound = bind(load_specification(workspace.releases / f"{RELEASE}.yaml"), load_site(workspace.site_file))
    covering = load_policy(workspace.policy_file).covering(bound.specification)
    assert covering == {"2024-05"}
    staging = load_staging(workspace, Population.CUSTOMERS, month)
    secret = period_key(workspace, Population.CUSTOMERS, month)
    groups = bounded_groups(bound, staging, secret, home / "spill", covering=covering)
    (by_kind,) = (frame for key, frame in groups.levels.items() if key.dimensions == ("customer_kind",))
    assert int(by_kind["people"].sum()) == truth(home)


def truth(home: Path) -> int:
    """How many customers count for advertisers too, said once more, of the shop's own table."""
    with closing(sqlite3.connect(home / "sources" / "customers.db")) as shop:
        ((all_of_them, count),) = shop.execute(
            "SELECT count(*), sum(opted_out IS NULL AND (coalesce(policy_version, '') = '2024-05' "
            "OR coalesce(notified_version, '') = '2024-05' AND notified_on <= '2026-10-02')) FROM customers"
        )
    assert 0.8 * all_of_them < count < 0.95 * all_of_them
    return int(count)


def test_recipients_read_the_purpose_in_the_words_of_the_notice(home: Path) -> None:
    drawn_and_approved(home)
    flow.publish(RELEASE, PERIOD)
    header = PrivateRelease.from_bytes(Ledger.open(Workspace(home).ledger).artefact(KEY) or b"").header
    assert (header.purpose, header.policy_version) == ("aggregated_demographics", "2024-05")
    manifest = Workspace(home).bundle(Audience.ADVERTISER, RELEASE, PERIOD, 1) / "manifest.json"
    assert "We give generic aggregated demographic information about visitors and customers" in manifest.read_text()
    assert "version 2024-05 was in force" in " ".join(flow.explain(RELEASE, PERIOD).split())
