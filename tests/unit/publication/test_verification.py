from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import VerificationError
from pipeline.publication.bundle import publish_release
from pipeline.publication.encoding import csv_bytes
from pipeline.publication.key_ring import signing_key
from pipeline.publication.manifest import Manifest, file_entry, sums_bytes
from pipeline.publication.signing import sign
from pipeline.publication.verify import keys_for, verify_bundle
from pipeline.publication.views import whole
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import REMAINDER_KEY, Audience
from pipeline.workspace import Workspace
from tests.unit.publication.releases import approval_of, private_release, with_table

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def bundle(published: Workspace) -> Path:
    return published.bundle(Audience.PARTNER, "audience_weekly", "2026-W41", 1)


def reseal(workspace: Workspace, folder: Path, approved_at: pd.Timestamp) -> None:
    """Sign a bundle again after its files were changed: what a publisher who errs would do."""
    manifest = Manifest.from_bytes((folder / "manifest.json").read_bytes())
    files = tuple(file_entry(entry.path, (folder / entry.path).read_bytes(), entry.rows) for entry in manifest.files)
    (folder / "SHA256SUMS").write_bytes(sums_bytes(files))
    sums = file_entry("SHA256SUMS", sums_bytes(files))
    sign_as(workspace, folder, manifest.model_copy(update={"files": files, "sums": sums}).to_bytes(), approved_at)


def sign_as(workspace: Workspace, folder: Path, manifest: bytes, approved_at: pd.Timestamp) -> None:
    (folder / "manifest.json").write_bytes(manifest)
    signature = sign(signing_key(workspace), manifest, approved_at.to_pydatetime(), "resealed")
    (folder / "manifest.json.minisig").write_bytes(signature)


NOW = pd.Timestamp("2026-10-14", tz="UTC")


def test_a_bundle_as_it_was_published_passes_every_check(bundle: Path) -> None:
    checks = verify_bundle(bundle)
    assert all(check.success for check in checks)
    assert len(checks) > 30
    assert str(bundle.parents[3] / "minisign.pub") in checks[0].name


@pytest.mark.parametrize("audience", list(Audience))
def test_every_audience_can_verify_its_bundle(published: Workspace, audience: Audience) -> None:
    assert verify_bundle(published.bundle(audience, "audience_weekly", "2026-W41", 1))


def test_a_bundle_can_be_verified_elsewhere_with_the_publishers_key(bundle: Path, tmp_path: Path) -> None:
    key = (bundle.parents[3] / "minisign.pub").read_text().splitlines()[1]
    moved = shutil.copytree(bundle, tmp_path / "inbox" / "mine")
    assert "that was given" in verify_bundle(moved, keys_for(key))[0].name


def test_the_key_may_lie_beside_a_bundle(bundle: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(bundle, tmp_path / "inbox" / "mine")
    shutil.copy(bundle.parents[3] / "minisign.pub", moved.parent)
    assert "inbox/minisign.pub" in verify_bundle(moved)[0].name


def test_without_any_key_nothing_is_verified(bundle: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(bundle, tmp_path / "inbox" / "mine")
    with pytest.raises(VerificationError, match="public key"):
        verify_bundle(moved)


def test_the_key_of_somebody_else_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    signing_key(other)
    with pytest.raises(VerificationError, match="signed by the publisher") as caught:
        verify_bundle(bundle, keys_for(str(other.published / "minisign.pub")))
    assert caught.value.exit_code == 11


def test_a_changed_byte_in_any_file_is_found(bundle: Path) -> None:
    paths = sorted(bundle.iterdir())
    assert len(paths) == 15
    for path in paths:
        content = path.read_bytes()
        for place in (0, len(content) // 3, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(VerificationError):
                verify_bundle(bundle)
        path.write_bytes(content)
    assert verify_bundle(bundle)


def test_a_missing_file_is_found_whichever_it_is(bundle: Path) -> None:
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(VerificationError, match=path.name.replace(".", r"\.")):
            verify_bundle(bundle)
        path.write_bytes(content)


def test_a_file_too_many_is_found(bundle: Path) -> None:
    (bundle / "countries_v2.csv").write_text("country,value\r\n")
    with pytest.raises(VerificationError, match=r"not listed \(countries_v2\.csv\)"):
        verify_bundle(bundle)


def test_a_link_is_no_file_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    for name in ("README.md", "countries.csv", "manifest.json"):
        moved = tmp_path / name
        shutil.move(bundle / name, moved)
        (bundle / name).symlink_to(moved)
        with pytest.raises(VerificationError, match=name.replace(".", r"\.")):
            verify_bundle(bundle)
        (bundle / name).unlink()
        shutil.move(moved, bundle / name)


def test_a_folder_that_is_no_bundle_is_a_clear_error(tmp_path: Path, bundle: Path) -> None:
    key = str(bundle.parents[3] / "minisign.pub")
    with pytest.raises(VerificationError, match="folder"):
        verify_bundle(tmp_path / "nowhere", keys_for(key))
    with pytest.raises(VerificationError, match=r"manifest\.json"):
        verify_bundle(tmp_path, keys_for(key))


def test_a_signed_manifest_that_is_malformed_is_found(published: Workspace, bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_bytes())
    document["identity"]["status"] = "secret"
    sign_as(published, bundle, json.dumps(document).encode(), NOW)
    with pytest.raises(VerificationError, match="status"):
        verify_bundle(bundle)


def test_a_bundle_of_a_later_version_is_told_from_one_that_is_broken(published: Workspace, bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_bytes())
    document |= {"manifest_version": 3, "what_came_later": True}
    sign_as(published, bundle, json.dumps(document).encode(), NOW)
    with pytest.raises(VerificationError, match=r"knows, 2 or earlier, got version 3\. A later release .* wrote it"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["../countries.csv", "/etc/hostname", "a/b.csv", ".hidden"])
def test_a_manifest_may_not_point_out_of_its_folder(published: Workspace, bundle: Path, name: str) -> None:
    document = json.loads((bundle / "manifest.json").read_bytes())
    document["files"][0]["path"] = name
    sign_as(published, bundle, json.dumps(document).encode(), NOW)
    with pytest.raises(VerificationError, match="path"):
        verify_bundle(bundle)


def test_a_signed_csv_with_other_rows_is_found(published: Workspace, bundle: Path, release: PrivateRelease) -> None:
    frame = whole(release).tables["countries"].assign(estimate=7.5)
    (bundle / "countries.csv").write_bytes(csv_bytes(frame, release.header.tables[0]))
    reseal(published, bundle, NOW)
    with pytest.raises(VerificationError, match="same in Parquet and CSV"):
        verify_bundle(bundle)


def test_a_signed_manifest_with_other_row_counts_is_found(published: Workspace, bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_bytes())
    document["files"][0]["rows"] += 1
    sign_as(published, bundle, json.dumps(document).encode(), NOW)
    with pytest.raises(VerificationError, match="as many rows"):
        verify_bundle(bundle)


def test_a_signed_description_that_is_wrong_is_found(published: Workspace, bundle: Path) -> None:
    path = bundle / "datapackage.json"
    document = json.loads(path.read_bytes())
    document["resources"][0]["hash"] = f"sha256:{'0' * 64}"
    path.write_text(json.dumps(document))
    reseal(published, bundle, NOW)
    with pytest.raises(VerificationError, match="describes the files rightly"):
        verify_bundle(bundle)


def _set(keys: tuple[str, ...], of: str = "people", /, **values: Any) -> Change:
    """Change the row of one group, of people where no measure is named."""
    named = ("people", "people in groups") if of == "people" else (of,)

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = frame.copy()
        chosen = (changed.iloc[:, : len(keys)] == list(keys)).all(axis=1) & changed["measure"].isin(named)
        assert chosen.sum() == 1
        for name, value in values.items():
            changed.loc[chosen, name] = value
        return changed

    return change


_ADD_UP = "groups and their remainder add up"
_WITHHELD = {"value": pd.NA, "value_lo": pd.NA, "value_hi": pd.NA, "estimate": pd.NA, "noise_sd": pd.NA}
WRONG: dict[str, tuple[str, Change, str]] = {
    "a count under k": ("countries", _set(("NA",), value=49, value_lo=40, value_hi=55), "below k = 50"),
    "a total that is no sum": ("countries", _set(("all",), value=4211), f"countries: people: {_ADD_UP}"),
    "a subtotal that is no sum": ("systems", _set(("DE", "Windows"), value=1131), f"systems: people: {_ADD_UP}"),
    "revenue that is no sum": ("sections", _set(("docs",), "revenue", value=1), f"sections: revenue: {_ADD_UP}"),
    "requests that are no sum": ("sections", _set(("docs",), "requests", value=1), f"sections: requests: {_ADD_UP}"),
    "a mean that is no quotient": ("sections", _set(("all",), "revenue_each", value=58.0), "revenue_each: a mean is"),
    "a parent without children": (
        "systems",
        lambda frame: frame[(frame["country"] != "NA") | (frame["operating_system"] == "all")],
        f"systems: people: {_ADD_UP}",
    ),
    "an interval beside its count": ("sections", _set(("docs",), value_lo=3001), "intervals hold"),
    "an interval beside its mean": ("sections", _set(("all",), "revenue_each", value_hi=1.0), "intervals hold"),
    "more noise than the level's": ("sections", _set(("docs",), noise_sd=9.1), "noise is no more"),
    "more noise than the level's in a sum": (
        "sections",
        _set(("docs",), "revenue", noise_sd=901.0),
        "noise is no more",
    ),
    "no noise": ("sections", _set(("docs",), noise_sd=0.0), "noise is no more"),
    "a remainder noisier than its parts": ("systems", _set(("DE", "all other"), noise_sd=12.0), "noise is no more"),
    "a number on a withheld row": ("countries", _set(("AT",), estimate=12.0), "withheld rows carry no number"),
    "revenue below zero": ("sections", _set(("docs",), "revenue", value=-1, value_lo=-1), "none below zero"),
    "doubt about revenue": ("sections", _set(("docs",), "revenue", obs_status="U"), "withheld rows carry no number"),
    "revenue withheld alone": (
        "sections",
        _set(("docs",), "revenue", **_WITHHELD, obs_status="Q", conf_status="C"),
        "withheld rows carry no number",
    ),
    "a listed group without its revenue": (
        "sections",
        lambda frame: frame[(frame["section"] != "docs") | (frame["measure"] != "revenue")],
        "a shown group has each measure",
    ),
    "revenue of a withheld group": ("sections", _set(("-shop",), measure="revenue"), "a shown group has each measure"),
    "a key that is on no list": (
        "sections",
        lambda frame: frame.assign(section=frame["section"].replace("docs", "cellar")),
        "on its public list",
    ),
    "a row twice": ("sections", lambda frame: pd.concat([frame, frame.iloc[-3:-2]]), "none is there twice"),
    "a total marked as a group": ("countries", _set(("all",), kind="group"), "rows are of this release"),
    "two readings of one group": ("systems", _set(("DE", "all"), value_hi=1999), "reads the same in each"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_signed_release_that_does_not_agree_with_itself_is_found(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts, what: str
) -> None:
    name, change, message = WRONG[what]
    read = ("countries", name) if name == "systems" else (name,)
    header = release.header.model_copy(update={"audiences": {Audience.PARTNER: read}})
    wrong = with_table(PrivateRelease(header, release.tables), name, change(release.tables[name]))
    publish_release(workspace, wrong, verdicts, approval_of(wrong, verdicts))
    with pytest.raises(VerificationError, match=message):
        verify_bundle(workspace.bundle(Audience.PARTNER, "audience_weekly", "2026-W41", 1))


def test_a_remainder_of_folded_groups_alone_may_be_as_noisy_as_these_together(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts
) -> None:
    """Where every group was released, what is left is the folded ones; where one was not, it is what they leave."""
    for number, (mark, accepted) in enumerate({"D": True, "C": False}.items(), start=1):
        frame = release.tables["sections"].copy()
        frame.loc[frame["section"].isin(["-shop", "other"]), "conf_status"] = ["D", mark]
        people = frame["measure"].eq("people in groups")
        listed = people & frame["value"].notna()
        frame.loc[listed, "noise_sd"] = 1.0
        frame.loc[listed & frame["section"].eq(REMAINDER_KEY), "noise_sd"] = 8.5
        header = release.header.model_copy(update={"audiences": {Audience.PARTNER: ("sections",)}, "revision": number})
        changed = with_table(PrivateRelease(header, release.tables), "sections", frame)
        publish_release(workspace, changed, verdicts, approval_of(changed, verdicts))
        bundle = workspace.bundle(Audience.PARTNER, "audience_weekly", "2026-W41", number)
        if accepted:
            assert verify_bundle(bundle)
        else:
            with pytest.raises(VerificationError, match="noise is no more"):
                verify_bundle(bundle)


def _published_privately(workspace: Workspace, verdicts: Verdicts, change: Change) -> Path:
    release = private_release()
    changed = with_table(release, "sections", change(release.tables["sections"]))
    publish_release(workspace, changed, verdicts, approval_of(changed, verdicts))
    return workspace.bundle(Audience.ADVERTISER, "audience_weekly", "2026-W41", 1)


def test_a_table_of_private_keys_can_be_verified(workspace: Workspace, verdicts: Verdicts) -> None:
    assert verify_bundle(_published_privately(workspace, verdicts, lambda frame: frame))


def test_a_private_key_that_was_not_released_is_found(workspace: Workspace, verdicts: Verdicts) -> None:
    bundle = _published_privately(workspace, verdicts, lambda frame: pd.concat([frame, _of_nobody(frame)]))
    with pytest.raises(VerificationError, match="on its public list"):
        verify_bundle(bundle)


def _of_nobody(frame: pd.DataFrame) -> pd.DataFrame:
    row = frame[frame["section"].eq("docs")].iloc[:1]
    return _set(("docs",), **_WITHHELD, obs_status="Q", conf_status="C")(row).replace({"section": {"docs": "cellar"}})
