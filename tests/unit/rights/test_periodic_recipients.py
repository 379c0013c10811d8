"""What the periodic review says of recipients."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.delivery.tokens import Scope, Tokens
from pipeline.rights.periodic import published, recipients
from pipeline.rights.periodic.evidence import Evidence
from pipeline.spec import ReleaseKey
from tests.delivering import ENTITLEMENTS, DeliveredSite, sample

NOW = dt.datetime.now(dt.UTC)
DAYS = dt.timedelta(days=1)
PRODUCT = "weekly_audience"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    made.offer(sample(PRODUCT))
    made.entitle(ana)
    made.deliver(sample(PRODUCT), "2026-W41", ana, people=15_000)
    return made


def evidence(site: DeliveredSite, now: dt.datetime = NOW) -> Evidence:
    return Evidence(site.workspace, site.site, now, site.ledger)


def test_bundles_of_parts_are_held_against_the_ledger(site: DeliveredSite) -> None:
    seen = published.genuine(evidence(site))
    assert (seen.failures, seen.at) == ((), 6)
    assert published.complete(evidence(site)).failures == ()
    assert published.entitled(evidence(site)).failures == ()


def test_a_part_that_shows_more_than_its_place_says_is_found(site: DeliveredSite) -> None:
    first, second = sorted(path for path in site.workspace.published.glob("reseller-*"))
    place = Path(PRODUCT) / "2026-W41" / "r1"
    kept = site.home / "kept"
    shutil.copytree(first / place, kept)
    shutil.rmtree(first / place)
    shutil.copytree(second / place, first / place)
    try:
        found = published.genuine(evidence(site)).failures
    finally:
        shutil.rmtree(first / place)
        shutil.move(kept, first / place)
    assert [failure.words for failure in found] == [
        f"{first.name}/{ReleaseKey(PRODUCT, '2026-W41')} is signed, but is no part of the release that was recorded"
    ]


def test_tokens_that_nobody_needs_are_told(site: DeliveredSite) -> None:
    tokens = Tokens.of(site.workspace)
    stranger, idle, used = (tokens.issue(name, days=200, now=NOW - 95 * DAYS) for name in ("nobody", "acme", "linker"))
    tokens.issue("south", days=1, now=NOW - 9 * DAYS)
    tokens.issue("north", (Scope.FEED,), days=200, now=NOW - 95 * DAYS)  # nobody can say whether it was used
    log = Downloads.of(site.workspace)
    log.note(Download("linker", Way.API, used.number, "affiliate", PRODUCT, "2026-W41", 1, "x.csv"), NOW - 3 * DAYS)
    log.close()
    seen = recipients.in_order(evidence(site))
    assert seen.failures == ()
    assert [told.split(":")[0].split(" was")[0].split(" opens")[0] for told in seen.told] == [
        f"Token {stranger.number} of nobody",
        f"Token {idle.number} of acme",
    ]


def test_entitlements_that_give_more_than_the_specifications_of_today_are_found(site: DeliveredSite) -> None:
    narrower = sample(PRODUCT)
    narrower["audiences"] = {"partner": narrower["audiences"]["partner"]}
    site.offer(narrower)
    try:
        (failure,) = recipients.in_order(evidence(site)).failures
    finally:
        site.offer(sample(PRODUCT))
    assert "reseller receives nothing of it" in failure.words
    site.workspace.entitlements_file.write_text(yaml.safe_dump(ENTITLEMENTS | {"recipients": []}), "utf-8")
    assert "waits for a reviewer" in recipients.in_order(evidence(site)).told[0]
