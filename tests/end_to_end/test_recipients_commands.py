"""The commands about recipients, on a site whose releases are published."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.delivery.approvals import in_force
from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.delivery.notices import announce
from pipeline.delivery.tokens import Tokens
from pipeline.review.accounts import Accounts
from pipeline.sample.entitlements_file import ENTITLEMENTS_FILE
from tests.accounts import PASSWORD
from tests.delivering import ENTITLEMENTS, DeliveredSite, sample, small

PROGRAM = Path(sys.executable).with_name("demographics")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    for name in ("weekly_audience", "weekly_movements", "monthly_customers"):
        made.offer(sample(name))
    made.deliver(sample("weekly_audience"), "2026-W41", made.reviewer(), people=15_000)
    Accounts.of(made.workspace).add("rosa", PASSWORD)
    made.workspace.entitlements_file.write_text(ENTITLEMENTS_FILE, "utf-8")
    return made


def run(site: DeliveredSite, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEMOGRAPHICS_HOME": str(site.home)}
    command = [str(PROGRAM), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=False)


def test_from_a_file_to_a_token_and_what_it_got(site: DeliveredSite, tmp_path: Path) -> None:
    assert "nobody can read anything" in run(site, "entitlements", "show").stdout
    assert "valid, 5 recipients" in run(site, "entitlements", "check").stdout
    assert "entitlements: valid" in run(site, "check").stdout
    assert "+    audience: partner" in run(site, "entitlements", "difference").stdout
    nobody = run(site, "recipient", "token", "acme")
    assert (nobody.returncode, nobody.stdout) == (13, "")

    refused = run(site, "entitlements", "approve", "--reviewer", "rosa", "--seen", "0" * 64, given=PASSWORD)
    assert (refused.returncode, "exactly" in refused.stderr) == (9, True)
    wrong = run(site, "entitlements", "approve", "--reviewer", "rosa", given="another password\n")
    assert wrong.returncode == 13
    done = run(site, "entitlements", "approve", "--reviewer", "rosa", given=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert "country DE, DK, NO, SE with totals" in run(site, "entitlements", "show").stdout

    written = run(site, "deliver").stdout
    assert "2 bundles were written" in written
    assert "Everything is there" in run(site, "deliver").stdout

    issued = run(site, "recipient", "token", "acme", "--label", "nightly", "--days", "9")
    secret = issued.stdout.strip()
    assert Tokens.of(site.workspace).find(secret)
    assert secret not in issued.stderr
    profile = tmp_path / "acme.share"
    assert run(site, "recipient", "profile", "acme", "--out", str(profile)).returncode == 0
    assert profile.stat().st_mode & 0o777 == 0o600
    told = json.loads(profile.read_text())
    assert (told["shareCredentialsVersion"], Tokens.of(site.workspace).find(told["bearerToken"]) is None) == (1, False)
    assert run(site, "recipient", "profile", "acme", "--out", str(profile)).returncode == 14
    assert "acme (Acme Analytics), partner: 2 living tokens" in run(site, "recipient", "list").stdout

    assert run(site, "recipient", "rotate", "1").stdout.startswith("dgx_")
    assert Tokens.of(site.workspace).find(secret) is None
    assert run(site, "recipient", "revoke", "1").returncode == 13
    assert "2 tokens of acme are revoked" in run(site, "recipient", "revoke", "--all", "acme").stdout
    assert "living" not in run(site, "recipient", "tokens", "acme").stdout

    log = Downloads.of(site.workspace)
    one = Download("acme", Way.API, 1, "partner", "weekly_audience", "2026-W41", 1, "manifest.json")
    log.note(one)
    log.note(one)
    log.close()
    rows = list(csv.DictReader(io.StringIO(run(site, "downloads", "--recipient", "acme", "--csv").stdout)))
    assert [row["edition"] for row in rows] == ["weekly_audience/2026-W41/r1"] * 2
    edition = ("--product", "weekly_audience", "--period", "2026-W41", "--revision", "1")
    (reader,) = csv.DictReader(io.StringIO(run(site, "downloads", "--readers", *edition, "--csv").stdout))
    assert (reader["recipient"], reader["files"]) == ("acme", "2")
    assert run(site, "downloads", "--readers").returncode == 2
    assert run(site, "downloads", "--since", "2001-01-01", "--until", "2001-01-02").stdout == ""


def test_a_file_that_does_not_fit_stops_the_checks(site: DeliveredSite) -> None:
    document = yaml.safe_load(ENTITLEMENTS_FILE)
    document["recipients"][0]["receives"] = {"weekly_sums": {}}
    site.workspace.entitlements_file.write_text(yaml.safe_dump(document), "utf-8")
    for command in (("check",), ("entitlements", "check")):
        done = run(site, *command)
        assert (done.returncode, "no such product" in done.stderr) == (3, True)
    site.workspace.entitlements_file.write_text(ENTITLEMENTS_FILE, "utf-8")


def test_who_has_a_channel_is_told_and_who_got_a_withdrawn_edition_is_listed(tmp_path: Path) -> None:
    made = DeliveredSite(tmp_path / "site")
    document = {"recipients": [{**ENTITLEMENTS["recipients"][0], "webhook": "https://127.0.0.1:1/hooks/8f0c"}]}
    Accounts.of(made.workspace).add("rosa", PASSWORD)
    made.offer(small(release="weekly_audience"))
    made.entitle(made.reviewer(), document)
    made.deliver(small(release="weekly_audience"), "2026-W41", made.reviewer())

    secret = run(made, "recipient", "webhook-secret", "acme")
    assert secret.stdout.startswith("whsec_")
    assert secret.stdout.strip() not in secret.stderr
    again = run(made, "recipient", "webhook-secret", "acme", "--overlap-days", "3")
    assert (again.stdout != secret.stdout, "Earlier ones sign until" in again.stderr) == (True, True)
    assert run(made, "recipient", "webhook-secret", "nobody").returncode == 13

    announce(made.workspace, in_force(made.workspace), dt.datetime.now(dt.UTC))  # nobody listens there
    (row,) = csv.DictReader(io.StringIO(run(made, "notices", "--csv").stdout))
    assert (row["recipient"], row["channel"], row["kind"], row["state"], row["tries"]) == (
        *("acme", "webhook", "new", "waiting", "1"),
    )
    assert (row["edition"], row["problem"]) == ("weekly_audience/2026-W41/r1", "the receiver cannot be reached")
    assert "hooks" not in run(made, "notices", "--state", "waiting").stdout
    assert run(made, "notices", "--state", "failed").stdout == ""
    assert run(made, "notices", "--state", "lost").returncode == 2
    assert f"{row['id']} is due" in run(made, "notices", "--retry", row["id"]).stdout
    assert run(made, "notices", "--retry", "msg_of_nobody").returncode == 14

    log = Downloads.of(made.workspace)
    for name in ("acme", "gone"):
        log.note(Download(name, Way.API, 1, "partner", "weekly_audience", "2026-W41", 1, "manifest.json"))
    log.close()
    edition = ("weekly_audience", "--period", "2026-W41", "--reviewer", "rosa", "--reason", "A source was late.")
    done = run(made, "review", "withdraw", *edition, given=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert "acme got 1 file, last on" in done.stdout
    assert "is told webhook" in done.stdout
    assert "is told by hand" in done.stdout
