"""After the purge of a period nobody, holding everything the product keeps, can tell whose a pseudonym was."""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline import flow_staging
from pipeline.deidentify.key_store import hkdf, master_secret
from pipeline.deidentify.pseudonyms import PeriodKey, period_key
from pipeline.deidentify.staging import load_staging
from pipeline.deidentify.subject_key import subject_key
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.rights.retention import due_at, purge_expired
from pipeline.rights.sweeping import sweep
from pipeline.site import load_site
from pipeline.vocabulary import Population
from pipeline.workspace import KEYS_VARIABLE, MASTER_KEY_VARIABLE, Workspace
from tests.builders import site_document
from tests.staged import rows_of
from tests.unit.rights.homes import enter

WEEK, WHO = Period.parse("2026-W41"), Population.VISITORS
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
LINE = '8.8.4.{} - - [06/Oct/2026:10:00:00 +0000] "GET /docs/ HTTP/1.1" 200 512 "-" "' + AGENT + '"\n'
HEXADECIMAL = re.compile(rb"(?=([0-9a-fA-F]{64}))")
BASE64 = re.compile(rb"(?=([A-Za-z0-9+/_-]{43}))")
MOST_WINDOWS = 500_000  # files up to this size are tried at every byte; no key lies inside of a longer one but as text


@pytest.fixture(scope="module", params=["file", "environment"])
def staged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A site with staging of a week, a subject key and a ledger, and a master secret where there is to be one."""
    with pytest.MonkeyPatch.context() as patch:
        workspace = enter(patch, tmp_path_factory.mktemp("home"))
        patch.setenv(KEYS_VARIABLE, request.param)
        if request.param == "environment":
            patch.setenv(MASTER_KEY_VARIABLE, secrets.token_hex(32))
        workspace.site_file.write_text(yaml.safe_dump(site_document()), "utf-8")
        (workspace.home / "access.log").write_text("".join(LINE.format(number) for number in range(1, 101)), "utf-8")
        flow_staging.stage(WHO, str(WEEK))
        subject_key(workspace, database.opened(workspace.ledger))
        yield workspace


@pytest.fixture
def workspace(staged: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the site, with what killed runs left in it."""
    shutil.copytree(staged.home, tmp_path / "site")
    made = Workspace(tmp_path / "site")
    key = made.period_key(WHO, WEEK)
    os.link(key, key.with_name(f".{key.name}.0a1b2c3d"))
    events = made.staging(WHO, WEEK) / "events"
    shutil.copytree(events, events.parent / "drafts" / "0a1b2c3d")
    return made


def somebody(workspace: Workspace) -> tuple[str, str]:
    """A person of the log as pseudonyms name them, and the pseudonym that somebody noted of them."""
    message = f"8.8.4.7\0{AGENT}"
    noted = period_key(workspace, WHO, WEEK).pseudonym(message)
    assert noted in {row["person"] for row in rows_of(load_staging(workspace, WHO, WEEK).events)}
    return message, noted


def contents(home: Path) -> Iterator[tuple[Path, bytes]]:
    yield from ((path, path.read_bytes()) for path in sorted(home.rglob("*")) if path.is_file())


def candidates(home: Path) -> Iterator[tuple[Path, bytes]]:
    """Everything in a folder that could be 32 bytes of a key: as hexadecimal, as base64, or as they are."""
    for path, content in contents(home):
        yield from ((path, bytes.fromhex(found.decode())) for found in HEXADECIMAL.findall(content))
        for found in BASE64.findall(content):
            yield path, base64.b64decode(found.replace(b"-", b"+").replace(b"_", b"/") + b"=")
        if len(content) <= MOST_WINDOWS:
            yield from ((path, content[place : place + 32]) for place in range(len(content) - 31))


def links(workspace: Workspace, message: str, pseudonym: str) -> Path | None:
    """A file that links somebody's pseudonym to them, with every secret that the deployment knows; None without any."""
    master = master_secret(workspace.key_store)
    tried: set[bytes] = set()
    wanted = bytes.fromhex(pseudonym)
    for path, value in candidates(workspace.home):
        if value in tried:
            continue
        tried.add(value)
        keys = [value, hmac.digest(value, b"pseudonym", "sha256")]
        if master:
            period = hkdf(master.secret, value, b"demographics period key visitors/2026-W41")
            keys += [period, hmac.digest(period, b"pseudonym", "sha256")]
        if any(hmac.digest(key, message.encode(), "sha256")[:16] == wanted for key in keys):
            return path
    return None


def forms(secret: bytes) -> list[bytes]:
    """How 32 bytes may stand in a file."""
    encoded = [base64.b64encode(secret), base64.urlsafe_b64encode(secret)]
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), *(text.rstrip(b"=") for text in encoded)]


def purge(workspace: Workspace) -> None:
    site = load_site(workspace.site_file)
    now = due_at(WEEK, site.retention.staging_days, site.zone)
    assert purge_expired(workspace, site, now).periods == ("visitors/2026-W41",)
    sweep(workspace, now)


def test_nobody_can_link_a_pseudonym_after_the_purge(workspace: Workspace) -> None:
    message, pseudonym = somebody(workspace)
    file = workspace.period_key(WHO, WEEK).read_text().split()
    stored = bytes.fromhex(file[0] if len(file) == 1 else file[1])
    key = period_key(workspace, WHO, WEEK)
    assert links(workspace, message, pseudonym) is not None  # the attack works where it may
    purge(workspace)
    assert links(workspace, message, pseudonym) is None
    looked_for = [form for secret in (stored, key.secret, key.derive("pseudonym")) for form in forms(secret)]
    found = [str(path) for path, content in contents(workspace.home) for form in looked_for if form in content]
    assert found == []
    assert not [path for path, content in contents(workspace.home) if pseudonym.encode() in content]


@pytest.mark.parametrize("name", ["keys/visitors/copy.txt", "staging/visitors/kept.bin", "reports/log.txt"])
def test_a_key_that_were_left_anywhere_would_be_found(workspace: Workspace, name: str) -> None:
    message, pseudonym = somebody(workspace)
    content = workspace.period_key(WHO, WEEK).read_bytes()
    purge(workspace)
    kept = workspace.home / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    raw = bytes.fromhex(content.split()[-2 if b" " in content else 0].decode())
    kept.write_bytes(b"\0odd" + raw if name.endswith(".bin") else b"key: " + base64.b64encode(raw))
    assert links(workspace, message, pseudonym) == kept


def test_a_new_key_of_the_period_does_not_bring_pseudonyms_back(workspace: Workspace) -> None:
    message, pseudonym = somebody(workspace)
    purge(workspace)
    again: PeriodKey = period_key(workspace, WHO, WEEK)
    assert again.pseudonym(message) != pseudonym
    assert links(workspace, message, pseudonym) is None
