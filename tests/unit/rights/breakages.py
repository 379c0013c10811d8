"""Promises broken on purpose, one at a time, in a copy of a published home."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipeline.deidentify.pseudonyms import period_key
from pipeline.delivery.approvals import Approvals, digest_of
from pipeline.periods import Period
from pipeline.privacy.ledger import Ledger
from pipeline.publication.key_changes import rotate
from pipeline.publication.key_ring import signing_key
from pipeline.publication.signing import public_key_bytes, sign
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.rows import Origin
from pipeline.rights.store import RequestStore
from pipeline.vocabulary import Audience, Population
from pipeline.workspace import Workspace
from tests.builders import pseudonym, write_visitors
from tests.reviewing import reviewer
from tests.unit.rights.homes import KEY, PERIOD, POLICY, RELEASE, SPECIFICATION

NOW = dt.datetime(2026, 11, 30, 5, tzinfo=dt.UTC)
OLD = NOW - dt.timedelta(days=2)
VISITORS = Population.VISITORS


def bundle(workspace: Workspace, audience: Audience = Audience.PARTNER) -> Path:
    return workspace.bundle(audience, RELEASE, PERIOD, 1)


def change_yaml(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = yaml.safe_load(path.read_text("utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document), "utf-8")


def change_ledger(workspace: Workspace, table: str, statement: str) -> None:
    """As somebody with the file would: the triggers first."""
    with sqlite3.connect(workspace.home / "ledger.db") as connection:
        connection.execute(f"DROP TRIGGER {table}_keep_update")
        assert connection.execute(statement).rowcount == 1


def aged(path: Path) -> None:
    for one in (*path.rglob("*"), path):
        os.utime(one, (OLD.timestamp(), OLD.timestamp()))


def keep(workspace: Workspace, period: str) -> None:
    period_key(workspace, VISITORS, Period.parse(period))
    staging = workspace.staging(VISITORS, Period.parse(period))
    write_visitors(staging, pd.DataFrame({"person": [pseudonym(1)]}), Period.parse(period))


def a_byte_of_a_table(workspace: Workspace) -> None:
    with (bundle(workspace) / "by_country.csv").open("ab") as file:
        file.write(b" ")


def a_signature(workspace: Workspace) -> None:
    name = "manifest.json.minisig"
    shutil.copy(bundle(workspace, Audience.RESELLER) / name, bundle(workspace) / name)


def a_manifest_signed_anew(workspace: Workspace) -> None:
    path = bundle(workspace) / "manifest.json"
    content = path.read_bytes().replace(b"Weekly visitors", b"Weekly strangers")
    path.write_bytes(content)
    signature = sign(signing_key(workspace), content, NOW, f"partner/{KEY}")
    path.with_name("manifest.json.minisig").write_bytes(signature)


def the_public_key_of_another(workspace: Workspace) -> None:
    other = signing_key(Workspace(workspace.home / "other"))
    shutil.rmtree(workspace.home / "other")
    (workspace.published / "minisign.pub").write_bytes(public_key_bytes(other.public_key))


def a_list_of_keys_of_before(workspace: Workspace) -> None:
    names = ("keys.json", "keys.json.minisig", "minisign.pub")
    before = {name: (workspace.published / name).read_bytes() for name in names}
    rotate(workspace, "yearly", "ops")
    for name, content in before.items():
        (workspace.published / name).write_bytes(content)


def a_file_more_in_a_bundle(workspace: Workspace) -> None:
    (bundle(workspace) / "notes.txt").write_text("by hand")


def a_bundle_taken_away(workspace: Workspace) -> None:
    shutil.rmtree(bundle(workspace, Audience.RESELLER))


def a_bundle_of_no_release(workspace: Workspace) -> None:
    shutil.copytree(bundle(workspace), workspace.bundle(Audience.PARTNER, "unheard_of", PERIOD, 1))


def a_bundle_for_another_audience(workspace: Workspace) -> None:
    shutil.copytree(bundle(workspace), bundle(workspace, Audience.ADVERTISER))


def a_folder_of_no_audience(workspace: Workspace) -> None:
    shutil.copytree(workspace.published / "partner", workspace.published / "competitor")


def a_purpose_withdrawn(workspace: Workspace) -> None:
    version = {"version": "2026-10", "effective": "2026-11-01", "purposes": {}}
    change_yaml(workspace.policy_file, lambda policy: policy["versions"].append(version))


def an_audience_that_the_policy_does_not_name(workspace: Workspace) -> None:
    purposes = POLICY["versions"][0]["purposes"]["demographics"] | {"audiences": ["partner"]}
    version = {"version": "2026-10", "effective": "2026-11-30", "purposes": {"demographics": purposes}}
    change_yaml(workspace.policy_file, lambda policy: policy["versions"].append(version))


def a_policy_that_is_missing(workspace: Workspace) -> None:
    workspace.policy_file.unlink()


def other_checks_since(workspace: Workspace) -> None:
    Ledger.open(workspace.ledger).record_checks(KEY, b"[]", passed=True)


def a_row_of_the_ledger(workspace: Workspace) -> None:
    change_ledger(workspace, "entries", "UPDATE entries SET at = '2020-01-01T00:00:00+00:00' WHERE kind = 'approved'")


def the_recorded_tables(workspace: Workspace) -> None:
    change_ledger(workspace, "artefacts", "UPDATE artefacts SET content = x'7b7d' WHERE kind = 'release'")


def the_recorded_verdicts(workspace: Workspace) -> None:
    change_ledger(workspace, "artefacts", "UPDATE artefacts SET content = x'5b5d' WHERE kind = 'checks/1'")


def a_cap_lowered(workspace: Workspace) -> None:
    change_yaml(workspace.site_file, lambda site: site["budget"]["visitors"].update(epsilon=0.4))


def a_specification_changed(workspace: Workspace) -> None:
    change_yaml(workspace.releases / f"{RELEASE}.yaml", lambda document: document.update(title="Another title"))


def a_specification_that_nobody_approved(workspace: Workspace) -> None:
    (workspace.releases / "other.yaml").write_text(yaml.safe_dump(SPECIFICATION | {"release": "other"}), "utf-8")


def a_specification_that_breaks_a_rule(workspace: Workspace) -> None:
    change_yaml(workspace.releases / f"{RELEASE}.yaml", lambda document: document["privacy"].update(k=1))


def entitlements_to_what_is_no_more(workspace: Workspace) -> None:
    a_specification_that_nobody_approved(workspace)
    acme = {"name": "acme", "title": "Acme", "audience": "partner", "receives": {"other": {}}}
    content = yaml.safe_dump({"recipients": [acme]}).encode()
    workspace.entitlements_file.write_bytes(content)
    Approvals.of(workspace).approve(reviewer(workspace, "ben"), digest_of(content))
    (workspace.releases / "other.yaml").unlink()


def an_overdue_request(workspace: Workspace) -> None:
    asked = SubjectRequest(RequestKind.ERASE, VISITORS, NOW - dt.timedelta(hours=49), address="8.8.4.7", agent="x")
    asked = SubjectRequest(**{**vars(asked), "since": OLD, "until": NOW})
    RequestStore.open(workspace).receive(asked, Origin.COMMAND_LINE)


def staging_past_due(workspace: Workspace) -> None:
    keep(workspace, "2026-W20")


def a_key_past_due(workspace: Workspace) -> None:
    period_key(workspace, VISITORS, Period.parse("2026-W20"))


def a_key_without_staging(workspace: Workspace) -> None:
    period = Period.parse("2026-W45")
    period_key(workspace, VISITORS, period)
    aged(workspace.period_key(VISITORS, period))


def staging_without_a_key(workspace: Workspace) -> None:
    workspace.period_key(VISITORS, Period.parse(PERIOD)).unlink()


def data_docs_past_their_day(workspace: Workspace) -> None:
    page = workspace.data_docs / "runs" / "release" / "weekly.2025-W40.r1" / "20251010T060000.000000Z.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>What was checked")


def an_access_packet_past_its_day(workspace: Workspace) -> None:
    folder = workspace.access / "R-12345678"
    folder.mkdir(parents=True)
    (folder / "held.json").write_text(json.dumps({"kept_until": "2026-11-28"}))


def a_draft_of_staging(workspace: Workspace) -> None:
    draft = workspace.staging(VISITORS, Period.parse(PERIOD)) / "drafts" / "0a1b2c3d"
    draft.mkdir(parents=True)
    (draft / "requests.parquet").write_bytes(b"left")
    aged(draft)


def spilled_rows(workspace: Workspace) -> None:
    folder = workspace.home / "spill" / ".spill-999999999-abcdef"
    folder.mkdir(parents=True)
    (folder / "rows.tmp").write_bytes(b"rows")
    aged(folder)


def a_draft_of_a_key(workspace: Workspace) -> None:
    key = workspace.period_key(VISITORS, Period.parse(PERIOD))
    draft = key.with_name(f".{key.name}.0a1b2c3d")
    draft.touch(0o600)
    aged(draft)


def a_draft_of_a_bundle(workspace: Workspace) -> None:
    draft = bundle(workspace).with_name(".r2.partial")
    shutil.copytree(bundle(workspace), draft)
    aged(draft)


def a_key_that_others_can_read(workspace: Workspace) -> None:
    workspace.period_key(VISITORS, Period.parse(PERIOD)).chmod(0o644)


def a_signing_key_that_the_group_can_read(workspace: Workspace) -> None:
    (workspace.signing_keys / "minisign.key").chmod(0o640)


def a_folder_of_keys_that_others_can_change(workspace: Workspace) -> None:
    (workspace.home / "keys" / "visitors").chmod(0o777)


MUTATIONS: dict[str, tuple[Callable[[Workspace], None], ...]] = {
    "Bundles": (
        a_byte_of_a_table,
        a_signature,
        a_manifest_signed_anew,
        the_public_key_of_another,
        a_list_of_keys_of_before,
        a_file_more_in_a_bundle,
    ),
    "Shelves": (a_bundle_taken_away, a_bundle_of_no_release),
    "Entitlements": (a_bundle_for_another_audience, a_folder_of_no_audience),
    "Recipients": (entitlements_to_what_is_no_more,),
    "Approvals": (other_checks_since,),
    "Purposes": (a_purpose_withdrawn, an_audience_that_the_policy_does_not_name, a_policy_that_is_missing),
    "Ledger": (a_row_of_the_ledger, the_recorded_tables, the_recorded_verdicts),
    "Budget": (a_cap_lowered,),
    "Specifications": (
        a_specification_changed,
        a_specification_that_nobody_approved,
        a_specification_that_breaks_a_rule,
    ),
    "Requests": (an_overdue_request,),
    "Retention": (
        staging_past_due,
        a_key_past_due,
        a_key_without_staging,
        staging_without_a_key,
        an_access_packet_past_its_day,
        data_docs_past_their_day,
        a_draft_of_staging,
        spilled_rows,
        a_draft_of_a_key,
        a_draft_of_a_bundle,
    ),
    "Keys": (
        a_key_that_others_can_read,
        a_signing_key_that_the_group_can_read,
        a_folder_of_keys_that_others_can_change,
    ),
}
