"""All but the backup is destroyed, and the site is as it was: the same releases, the same budget, no second draw."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline import cli
from pipeline.errors import AccessError
from pipeline.privacy.ledger import Ledger
from pipeline.recovery.archive import unpacked
from pipeline.recovery.sealing import BackupKey, unsealed
from pipeline.review.accounts import Accounts
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests import postgresql
from tests.accounts import PASSWORD, WRONG
from tests.builders import specification_document
from tests.end_to_end.planting import leaks, plant
from tests.portals import serving

PERIOD: Final = "2026-W41"
KEY = ReleaseKey("weekly", PERIOD)
TABLES = [{"name": "by_country", "title": "By country", "dimensions": ["country"]}]
ENTITLEMENTS = {
    "recipients": [{"name": "acme", "title": "Acme", "audience": "partner", "receives": {"weekly": {}}}]
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What a site says of itself.

    Attributes:
        published: Digests of everything that is published, by path.
        budget: What `demographics budget` prints.
        artefact: The noisy tables as the ledger has them.
        head: Number and digest of the ledger's last entry.
    """

    published: dict[str, str]
    budget: str
    artefact: bytes | None
    head: tuple[int, str]


@dataclass(frozen=True)
class Loss:
    """A site before and after everything but its backup was destroyed.

    Attributes:
        folder: In which sources, keys of backups and backups are.
        workspace: The site, restored.
        before: What it said.
        after: What it says.
        secret: A recipient's token.
        revoked: One that was revoked before the backup.
    """

    folder: Path
    workspace: Workspace
    before: Told
    after: Told
    secret: str
    revoked: str


@pytest.fixture(scope="module")
def loss(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Loss]:
    """Published from a ledger in SQLite, restored into PostgreSQL."""
    folder = tmp_path_factory.mktemp("loss")
    with (
        pytest.MonkeyPatch.context() as patch,
        postgresql.schema(request.getfixturevalue("postgresql_server")) as address,
    ):
        workspace = write_site(folder / "home")
        patch.setenv(HOME_VARIABLE, str(workspace.home))
        patch.setenv(RELEASES_VARIABLE, str(workspace.home / "releases"))
        patch.setenv(LEDGER_VARIABLE, "")
        patch.setenv("DEMOGRAPHICS_BACKUP_KEY", str(folder / "elsewhere" / "backup.key"))
        patch.setenv("DEMOGRAPHICS_BACKUP_TO", str(folder / "elsewhere" / "backup.key.pub"))
        secret, revoked = publish(folder)
        before = told(workspace)
        done("backup", str(folder / "elsewhere" / "backup.age"))
        destroy(workspace, folder)
        patch.setenv(LEDGER_VARIABLE, address)
        done("restore", str(folder / "elsewhere" / "backup.age"))
        yield Loss(folder, workspace, before, told(workspace), secret, revoked)


def write_site(home: Path) -> Workspace:
    """The sample with planted people, and one specification."""
    write_sample(home, lines=20_000, visitors=4_000, customers=1_000)
    plant(home)
    (home / "releases").mkdir()
    privacy = {"epsilon": 1, "delta": 1e-7, "k": 20}
    document = specification_document(privacy=privacy, tables=TABLES, audiences={"partner": ["by_country"]})
    (home / "releases" / "weekly.yaml").write_text(yaml.safe_dump(document), "utf-8")
    (home / "entitlements.yaml").write_text(yaml.safe_dump(ENTITLEMENTS), "utf-8")
    return Workspace(home)


def publish(folder: Path) -> tuple[str, str]:
    """From sources to a recipient's tokens: one that lives, and one that was revoked."""
    done("backup", "--make-key", str(folder / "elsewhere" / "backup.key"))
    done("run", "weekly", "--period", PERIOD)
    done("reviewer", "add", "ana", typed=f"{PASSWORD}\n")
    words = ("--period", PERIOD, "--reviewer", "ana", "--reason", "seen")
    done("review", "approve", "weekly", *words, typed=f"{PASSWORD}\n")
    done("publish", "weekly", "--period", PERIOD)
    done("entitlements", "approve", "--reviewer", "ana", typed=f"{PASSWORD}\n")
    secret, revoked = (done("recipient", "token", "acme").stdout.strip() for _ in range(2))
    done("recipient", "revoke", "2")
    done("subject", "erase", "visitor", "--since", "2026-10-05", "--until", "2026-10-11", typed=SOMEBODY)
    return secret, revoked


SOMEBODY: Final = "address: 203.0.113.250\nagent: Somebody/1.0\n"


def destroy(workspace: Workspace, folder: Path) -> None:
    """Leave nothing of the site but its sources, which are another system's, and the backup."""
    workspace.home.rename(folder / "lost")
    workspace.home.mkdir()
    shutil.copytree(folder / "lost" / "sources", folder / "sources")
    shutil.rmtree(folder / "lost")


def told(workspace: Workspace) -> Told:
    ledger = Ledger.open(workspace.ledger)
    files = sorted(path for path in workspace.published.rglob("*") if path.is_file() and path.name != ".lock")
    digests = {str(path.relative_to(workspace.home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return Told(digests, done("budget").stdout, ledger.artefact(KEY), ledger.head())


def demographics(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=typed)


def done(*arguments: str, typed: str = "") -> Result:
    result = demographics(*arguments, typed=typed)
    assert result.exit_code == 0, f"{arguments}: {result.output}"
    return result


def test_everything_is_as_it_was(loss: Loss) -> None:
    assert loss.after == loss.before
    assert f"published/partner/{KEY}/SHA256SUMS" in loss.after.published


def test_bundles_verify_with_the_key_that_recipients_have(loss: Loss) -> None:
    folder = loss.workspace.bundle("partner", KEY.release, KEY.period, 1)
    public = str(loss.workspace.published / "minisign.pub")
    assert "genuine and complete" in done("verify", str(folder), "--key", public).stdout


def test_the_portal_opens_to_the_same_tokens(loss: Loss) -> None:
    with serving(loss.workspace) as portal, portal.browser() as browser:
        path = "/api/v1/products/weekly/latest"
        answers = [
            browser.get(path, headers={"Authorization": f"Bearer {secret}"}).status_code
            for secret in (loss.secret, loss.revoked)
        ]
    assert answers == [200, 401]


def test_a_run_draws_nothing_a_second_time_and_publishing_changes_nothing(loss: Loss) -> None:
    if not (loss.workspace.home / "sources").exists():
        shutil.copytree(loss.folder / "sources", loss.workspace.home / "sources")
    done("run", "weekly", "--period", PERIOD)
    done("publish", "weekly", "--period", PERIOD)
    now = told(loss.workspace)
    assert (now.artefact, now.published, now.budget) == (
        loss.before.artefact,
        loss.before.published,
        loss.before.budget,
    )
    kinds = [entry.kind.value for entry in Ledger.open(loss.workspace.ledger).entries(KEY)]
    assert (kinds.count("reserved"), kinds.count("drawn"), kinds.count("published")) == (1, 1, 1)


def test_a_reviewer_signs_with_the_same_password(loss: Loss) -> None:
    accounts = Accounts.of(loss.workspace)
    assert accounts.signer("ana", PASSWORD).name == "ana"
    with pytest.raises(AccessError):
        accounts.signer("ana", WRONG)


def test_nothing_in_the_backup_names_anybody(loss: Loss, tmp_path: Path) -> None:
    key = BackupKey.read(loss.folder / "elsewhere" / "backup.key")
    with unsealed(loss.folder / "elsewhere" / "backup.age", key) as stream:
        for name, content in unpacked(stream):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
    assert leaks(tmp_path) == []
    assert "203.0.113.250" not in "".join(path.read_text("latin-1") for path in tmp_path.rglob("*.jsonl"))


def test_a_dry_run_and_mistakes_are_told_in_a_line(loss: Loss, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup, other = str(loss.folder / "elsewhere" / "backup.age"), str(tmp_path / "other.key")
    monkeypatch.setenv(LEDGER_VARIABLE, "")
    into = ("--into", str(tmp_path / "home"))
    assert "holds, and may be restored" in done("restore", backup, *into, "--dry-run").stdout
    assert not (tmp_path / "home").exists()
    done("backup", "--make-key", other, "--passphrase", typed="nine tin kettles\nnine tin kettles\n")
    for words, typed, code, said in (
        ((backup, "--key", other), "nine tin kettles\n", 15, "sealed for"),
        ((backup, "--key", other), "four grey herons\n", 15, "passphrase must be the one"),
        ((str(tmp_path / "none.age"),), "", 15, "readable file"),
    ):
        refused = demographics("restore", *words, *into, typed=typed)
        assert (refused.exit_code, said in refused.stderr, "Traceback" in refused.output) == (code, True, False)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "site.yaml").write_text("site: another", "utf-8")
    assert demographics("restore", backup, "--into", str(tmp_path / "taken")).exit_code == 15
    assert demographics("backup").exit_code == 2


def test_an_older_ledger_that_was_put_back_by_hand_draws_nothing(loss: Loss, tmp_path: Path) -> None:
    # A backup that was restored beside newer publications is in tests/unit/recovery.
    home = tmp_path / "home"
    shutil.copytree(loss.workspace.home, home)
    sqlite3.connect(home / "ledger.db").close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LEDGER_VARIABLE, f"sqlite:///{home}/ledger.db")
        for command in (("check",), ("publish", "weekly", "--period", PERIOD)):
            refused = demographics("--home", str(home), *command)
            assert (refused.exit_code, "every entry that this site has seen" in refused.stderr) == (7, True)
