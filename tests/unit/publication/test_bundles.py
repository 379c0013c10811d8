from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import frictionless
import pandas as pd
import pytest

from pipeline.errors import ChecksFailedError, NotApprovedError, PublicationError
from pipeline.publication.bundle import publish_release
from pipeline.publication.key_ring import signing_key
from pipeline.publication.manifest import Approved, Manifest
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace
from tests.unit.publication.releases import approval_of, private_release, release_of, with_table

DESCRIPTIONS = {"README.md", "SHA256SUMS", "datapackage.json", "manifest.json", "manifest.json.minisig", "report.html"}


def bundle_of(workspace: Workspace, audience: Audience, revision: int = 1, period: str = "2026-W41") -> Path:
    return workspace.bundle(audience, "audience_weekly", period, revision)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_holds_its_tables_and_their_descriptions(published: Workspace) -> None:
    names = {path.name for path in bundle_of(published, Audience.RESELLER).iterdir()}
    assert names == DESCRIPTIONS | {"audience_weekly-2026-W41-r1.xlsx"} | {
        f"{name}.{ending}" for name in ("countries", "systems", "derived") for ending in ("csv", "parquet")
    }


def test_no_bundle_names_a_table_of_another_audience(published: Workspace) -> None:
    for path in bundle_of(published, Audience.ADVERTISER).iterdir():
        assert not re.search(rb"countr|systems|operating.system", path.read_bytes(), re.IGNORECASE), path.name


def test_sha256sum_accepts_the_bundle(published: Workspace) -> None:
    folder = bundle_of(published, Audience.PARTNER)
    done = subprocess.run(
        ["sha256sum", "--strict", "--check", "SHA256SUMS"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {line.split(":")[0] for line in done.stdout.decode().splitlines()} == {
        path.name for path in folder.iterdir()
    } - {"SHA256SUMS", "manifest.json", "manifest.json.minisig"}


@pytest.mark.parametrize("audience", list(Audience))
def test_frictionless_validates_the_description(published_once: Workspace, audience: Audience) -> None:
    package = frictionless.Package(str(bundle_of(published_once, audience) / "datapackage.json"))
    report = package.validate()
    assert report.valid, report.flatten(["type", "fieldName"])
    assert package.custom["demographics"]["audience"] == audience
    assert all(resource.hash and resource.hash.startswith("sha256:") for resource in package.resources)


def test_the_manifest_lists_every_file_with_size_and_digest(published: Workspace) -> None:
    folder = bundle_of(published, Audience.PARTNER)
    manifest = Manifest.from_bytes((folder / "manifest.json").read_bytes())
    for entry in (*manifest.files, manifest.sums):
        content = (folder / entry.path).read_bytes()
        assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert {entry.path for entry in manifest.files} | {"SHA256SUMS", "manifest.json", "manifest.json.minisig"} == {
        path.name for path in folder.iterdir()
    }
    assert {entry.path: entry.rows for entry in manifest.files}["systems.csv"] == 22


def test_the_manifest_tells_who_approved_what(
    published: Workspace, release: PrivateRelease, approved: Approved
) -> None:
    manifest = Manifest.from_bytes((bundle_of(published, Audience.PARTNER) / "manifest.json").read_bytes())
    assert manifest.identity.status == "published"
    assert manifest.identity.supersedes is None
    assert manifest.provenance.artefact_sha256 == release.sha256
    assert manifest.provenance.candidate_sha256 == approved.candidate_sha256
    assert manifest.provenance.approval.reviewer == approved.reviewer
    assert manifest.privacy.not_covered


def test_the_readme_of_a_bundle_loads_as_it_says(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle_of(published, Audience.AFFILIATE)
    monkeypatch.chdir(folder)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    from_csv = re.search(r"`(pd\.read_csv\(.*?\))`", readme)
    assert code is not None
    assert from_csv is not None
    found: dict[str, pd.DataFrame] = {}
    exec(f"{code[1]}\nshown = {from_csv[1]}", found)  # noqa: S102 - the very lines that recipients are given
    assert found["groups"]["country"].tolist() == ["DE", "NA", "US"]
    assert found["shown"]["country"].tolist() == found["table"]["country"].tolist()
    assert found["shown"]["value"].sum() == found["table"]["value"].sum()


def test_the_description_names_the_measures(published: Workspace) -> None:
    package = json.loads((bundle_of(published, Audience.PARTNER) / "datapackage.json").read_bytes())
    schemas = {one["name"]: one["schema"] for one in package["resources"] if "schema" in one}
    fields = {field["name"]: field for field in schemas["sections"]["fields"]}
    names = ["people in groups", "requests", "revenue", "revenue_each"]
    assert fields["measure"]["constraints"]["enum"] == names
    assert fields["measure"]["categories"][2] == {"value": "revenue", "label": "Revenue"}
    assert "0.01 EUR" in fields["unit"]["constraints"]["enum"]
    assert fields["obs_status"]["constraints"]["enum"] == ["A", "U", "Q"]
    assert "U low reliability" in fields["obs_status"]["description"]
    assert fields["value"]["type"] == "number"
    assert schemas["sections"]["primaryKey"] == ["section", "measure"]
    assert {field["name"]: field["type"] for field in schemas["countries"]["fields"]}["value"] == "integer"


def test_private_keys_are_not_enumerated(workspace: Workspace, verdicts: Verdicts) -> None:
    release = private_release()
    publish_release(workspace, release, verdicts, approval_of(release, verdicts))
    folder = bundle_of(workspace, Audience.ADVERTISER)
    package = json.loads((folder / "datapackage.json").read_bytes())
    fields = {field["name"]: field for field in package["resources"][0]["schema"]["fields"]}
    assert fields["section"]["constraints"] == {"required": True}
    assert "no public list" in fields["section"]["description"]
    assert frictionless.Package(str(folder / "datapackage.json")).validate().valid
    assert "Of section there is no public list of keys" in (folder / "README.md").read_text("utf-8")


def test_the_readme_explains_measures_and_marks_where_there_are_some(published: Workspace) -> None:
    text = (bundle_of(published, Audience.ADVERTISER) / "README.md").read_text("utf-8")
    plain = (bundle_of(published, Audience.AFFILIATE) / "README.md").read_text("utf-8")
    assert "| `sections` | `revenue` | 0.01 EUR | Revenue | 300,000 in all groups together |" in text
    assert "Revenue per request: `revenue` / `requests`" in text
    assert "A mean is the quotient" in text
    assert "A mean is the quotient" not in plain
    assert "`revenue`" not in plain
    for readme in (text, plain):
        assert "**Less reliable** numbers have `obs_status` U" in readme
        assert "least squares" in readme


def test_the_same_release_has_the_same_bytes_anywhere(
    published: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved, tmp_path: Path
) -> None:
    other = Workspace(tmp_path / "other")
    shutil.copytree(published.signing_keys, other.signing_keys)
    shutil.copy(published.ledger, other.ledger)  # has the public keys
    publish_release(other, release, verdicts, approved)
    assert tree(other.published) == tree(published.published)


def test_a_later_version_of_the_program_writes_a_lost_bundle_with_the_bytes_that_it_had(
    published: Workspace,
    release: PrivateRelease,
    verdicts: Verdicts,
    approved: Approved,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = tree(published.published)
    told = json.loads((bundle_of(published, Audience.PARTNER) / "manifest.json").read_bytes())
    assert told["provenance"]["code_version"] == release.header.code_version  # of the program that drew
    shutil.rmtree(bundle_of(published, Audience.PARTNER))
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("pipeline", "expectations") and hasattr(module, "__version__"):
            monkeypatch.setattr(module, "__version__", "77.0.0")
    publish_release(published, release, verdicts, approved)
    assert tree(published.published) == before


def test_publishing_again_changes_nothing_and_says_so(
    published: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved
) -> None:
    before = {path: path.stat().st_mtime_ns for path in published.published.rglob("*")}
    bundles = publish_release(published, release, verdicts, approved)
    assert [bundle.already_published for bundle in bundles] == [True] * 4
    assert {path: path.stat().st_mtime_ns for path in published.published.rglob("*")} == before
    for bundle in bundles:
        assert bundle.manifest_sha256 == hashlib.sha256((bundle.folder / "manifest.json").read_bytes()).hexdigest()


def test_other_numbers_never_replace_what_was_published(
    published: Workspace, release: PrivateRelease, verdicts: Verdicts
) -> None:
    frame = release.tables["countries"].assign(estimate=lambda rows: rows["estimate"] + 1)
    other = with_table(release, "countries", frame)
    before = tree(published.published)
    with pytest.raises(PublicationError, match="never changed"):
        publish_release(published, other, verdicts, approval_of(other, verdicts))
    assert tree(published.published) == before


@pytest.mark.parametrize("name", ["countries.csv", "manifest.json", "manifest.json.minisig", "SHA256SUMS", "extra"])
def test_a_bundle_that_was_touched_is_not_called_published(
    published: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved, name: str
) -> None:
    path = bundle_of(published, Audience.AFFILIATE) / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    before = tree(published.published)
    with pytest.raises(PublicationError, match="never changed"):
        publish_release(published, release, verdicts, approved)
    assert tree(published.published) == before


def test_without_the_approval_of_this_candidate_nothing_is_written(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts
) -> None:
    other = release_of(title="Another")
    with pytest.raises(NotApprovedError):
        publish_release(workspace, release, verdicts, approval_of(other, verdicts))
    assert not workspace.published.exists()


def test_an_approval_does_not_hold_for_other_checks(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved
) -> None:
    with pytest.raises(NotApprovedError):
        publish_release(workspace, release, Verdicts(verdicts.checks[:1]), approved)


@pytest.mark.parametrize("checks", [(), (Verdict("release", "countries", "adds up", False),)])
def test_without_passed_checks_nothing_is_written(
    workspace: Workspace, release: PrivateRelease, checks: tuple[Verdict, ...]
) -> None:
    verdicts = Verdicts(checks)
    with pytest.raises(ChecksFailedError):
        publish_release(workspace, release, verdicts, approval_of(release, verdicts))
    assert not workspace.published.exists()


def test_an_approval_without_a_time_is_refused(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts
) -> None:
    for decided_at in ("yesterday", "2026-10-13T09:00:00"):
        with pytest.raises(PublicationError, match="ISO 8601"):
            publish_release(workspace, release, verdicts, approval_of(release, verdicts, decided_at=decided_at))


def test_latest_points_at_the_newest_bundle(published: Workspace) -> None:
    shelf = published.published / "partner" / "audience_weekly"
    latest = json.loads((shelf / "latest.json").read_bytes())
    manifest = (shelf / latest["path"] / "manifest.json").read_bytes()
    assert (latest["period"], latest["revision"]) == ("2026-W41", 1)
    assert latest["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()


def test_a_backfilled_period_is_listed_and_is_not_the_latest(published: Workspace, verdicts: Verdicts) -> None:
    earlier = release_of(period="2026-W40", period_start="2026-09-28", period_end="2026-10-05")
    publish_release(published, earlier, verdicts, approval_of(earlier, verdicts))
    shelf = published.published / "partner"
    index = json.loads((shelf / "index.json").read_bytes())
    assert [entry["period"] for entry in index["products"][0]["periods"]] == ["2026-W40", "2026-W41"]
    assert json.loads((shelf / "audience_weekly" / "latest.json").read_bytes())["period"] == "2026-W41"


def test_a_revision_stands_beside_what_it_replaces(
    published: Workspace, verdicts: Verdicts, release: PrivateRelease
) -> None:
    before = tree(bundle_of(published, Audience.PARTNER))
    second = release_of(revision=2)
    publish_release(published, second, verdicts, approval_of(second, verdicts, decided_at="2026-10-20T09:00:00+00:00"))
    manifest = Manifest.from_bytes((bundle_of(published, Audience.PARTNER, 2) / "manifest.json").read_bytes())
    changes = (published.published / "partner" / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert manifest.identity.supersedes == "r1"
    assert tree(bundle_of(published, Audience.PARTNER)) == before
    assert [line.split(",")[-1].split(":")[0].strip() for line in changes[2:]] == ["r2", "r1"]


def test_a_revision_of_what_was_never_published_replaces_nothing(workspace: Workspace, verdicts: Verdicts) -> None:
    second = release_of(revision=2)
    publish_release(workspace, second, verdicts, approval_of(second, verdicts))
    manifest = Manifest.from_bytes((bundle_of(workspace, Audience.PARTNER, 2) / "manifest.json").read_bytes())
    assert manifest.identity.supersedes is None


def test_products_share_an_index(published: Workspace, verdicts: Verdicts) -> None:
    other = release_of(release="customers_monthly", audiences={Audience.PARTNER: ("countries",)})
    publish_release(published, other, verdicts, approval_of(other, verdicts))
    index = json.loads((published.published / "partner" / "index.json").read_bytes())
    assert [product["product"] for product in index["products"]] == ["audience_weekly", "customers_monthly"]


def test_a_path_that_cannot_be_written_is_a_clear_error(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved
) -> None:
    workspace.published.mkdir(parents=True)
    (workspace.published / "partner").write_text("in the way")
    with pytest.raises(PublicationError, match="run again") as caught:
        publish_release(workspace, release, verdicts, approved)
    assert caught.value.exit_code == 10
    assert not list(workspace.published.rglob("r1"))


def test_a_full_disk_leaves_nothing_half_written(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved
) -> None:
    signing_key(workspace)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))  # tables fit, a report does not
    try:
        with pytest.raises(PublicationError, match="EFBIG"):
            publish_release(workspace, release, verdicts, approved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(tree(workspace.published)) == {".lock", "keys.json", "keys.json.minisig", "minisign.pub"}
    assert all(not bundle.already_published for bundle in publish_release(workspace, release, verdicts, approved))


# Runs a publication in children that are ended without any clean-up after so many waits for the disk.
KILLED = """
import json, os, sys
from pathlib import Path
from pipeline.publication import bundle
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdicts
from pipeline.workspace import Workspace

home, sync = Path(sys.argv[1]), os.fsync
release = PrivateRelease.from_bytes((home / "release.json").read_bytes())
verdicts = Verdicts.from_bytes((home / "verdicts.json").read_bytes())
approved = bundle.Approved(**json.loads((home / "approved.json").read_bytes()))
bundle.draw_charts = lambda *_, **__: {}  # what a killed run had drawn, or checked, does not matter
bundle._inspect = lambda *_: None

def publish(number):
    left = [number]
    def counted(descriptor):
        left[0] -= 1
        if not left[0]:
            os._exit(9)
        sync(descriptor)
    os.fsync = counted
    bundle.publish_release(Workspace(home / str(number)), release, verdicts, approved)
    os._exit(number - left[0])  # it was not killed: how often it waited

for number in map(int, sys.argv[2:]):
    child = os.fork()
    if not child:
        publish(number)
    print(number, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# Waits: 8 for public keys, 12 for each of two bundles, 4 after each renaming, 12 for the files that point at them.
POINTS = (1, 4, 9, 13, 21, 32, 33, 37, 41, 52)


def test_a_killed_publication_is_completed_by_the_next(
    published_once: Workspace, verdicts: Verdicts, tmp_path: Path
) -> None:
    release = release_of(audiences=dict.fromkeys((Audience.PARTNER, Audience.AFFILIATE), ("countries",)))
    approved = approval_of(release, verdicts)
    (tmp_path / "release.json").write_bytes(release.to_bytes())
    (tmp_path / "verdicts.json").write_bytes(verdicts.to_bytes())
    (tmp_path / "approved.json").write_text(json.dumps(asdict(approved)))
    for number in POINTS:
        shutil.copytree(published_once.signing_keys, tmp_path / str(number) / "keys" / "signing")
        (tmp_path / str(number) / "keys" / "signing" / "minisign.pub").unlink()
    command = [sys.executable, "-c", KILLED, str(tmp_path), *map(str, POINTS)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == [text for number in POINTS for text in (str(number), "9")]
    for number in POINTS:
        workspace = Workspace(tmp_path / str(number))
        for folder in workspace.published.rglob("r1"):
            assert (folder / "manifest.json.minisig").is_file(), "half a bundle is visible"
        publish_release(workspace, release, verdicts, approved)
        names = {path.name for path in workspace.published.rglob("*") if path.name.startswith(".")}
        assert names == {".lock"}, number
        assert len(tree(workspace.published)) == 2 * 11 + 2 * 3 + 4, number
        assert all(bundle.already_published for bundle in publish_release(workspace, release, verdicts, approved))
