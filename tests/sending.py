"""A published site, stores of its recipients, and what a reader finds there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import minisign
import pytest

from pipeline.delivery.entitlements import Entitlements
from pipeline.delivery.sending import SendingReport, send
from pipeline.publication.manifest import Manifest, sums_bytes
from pipeline.workspace import Workspace
from tests.delivering import ENTITLEMENTS
from tests.stores import KEY, PASSWORD, SftpServer, Wire, s3_files

EDITION = "partner/weekly_audience/2026-W41/r1"


@dataclass(frozen=True)
class Place:
    """A store as somebody sees it who reads it.

    Attributes:
        address: As entitlements have it.
        files: A file system that leads to it without a wire.
        root: The folder there.
        wire: On the way to it, if there is one.
    """

    address: str
    files: Any
    root: str
    wire: Wire | None = None

    def contents(self) -> dict[str, bytes]:
        """Every file, hidden ones too, by its path."""
        found = self.files.find(self.root)
        return {str(path).removeprefix(f"{self.root}/"): self.files.cat_file(path) for path in found}

    def write(self, path: str, content: bytes) -> None:
        """Put something there behind the sender's back."""
        self.files.makedirs(f"{self.root}/{path}".rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(f"{self.root}/{path}", content)

    def clear(self) -> None:
        """Make it empty."""
        if self.files.find(self.root):
            self.files.rm(self.root, recursive=True)
        self.files.makedirs(self.root, exist_ok=True)


def folder_place(root: Path) -> Place:
    """A folder on this machine."""
    root.mkdir(exist_ok=True)
    return Place(f"file://{root}", fsspec.filesystem("file"), str(root))


def s3_place(port: int, wire: Wire, environment: pytest.MonkeyPatch) -> Place:
    """A folder of a bucket, which is reached through a wire."""
    files = s3_files(port)
    if not files.exists("inbox"):
        files.mkdir("inbox")
    once = {"retries": {"max_attempts": 0}}
    extra = {"endpoint_url": f"http://127.0.0.1:{wire.port}", "region_name": "eu-central-1", "config_kwargs": once}
    parts = {"conn_type": "aws", "login": KEY, "password": PASSWORD, "extra": extra}
    _connect(environment, "s3://inbox", parts)
    return Place("s3://inbox/acme", files, "inbox/acme", wire)


def sftp_place(folder: Path, server: SftpServer, wire: Wire, environment: pytest.MonkeyPatch) -> Place:
    """A folder of an SFTP server, which is reached through a wire."""
    (folder / "acme").mkdir(exist_ok=True)
    host = f"127.0.0.1:{wire.port}"
    parts = {"conn_type": "sftp", "host": "127.0.0.1", "port": wire.port, "login": "sender", "password": PASSWORD}
    _connect(environment, f"sftp://{host}", parts | {"extra": {"host_key": server.host_key}})
    return Place(f"sftp://{host}/acme", fsspec.filesystem("file"), str(folder / "acme"), wire)


def _connect(environment: pytest.MonkeyPatch, root: str, parts: Mapping[str, object]) -> None:
    environment.setenv("AIRFLOW_CONN_THE_STORE", json.dumps(parts))
    environment.setenv("DEMOGRAPHICS_STORE_CONNECTIONS", f"{root}=the_store")


def entitled(*stores: str, **more: Any) -> Entitlements:
    """One partner with these stores, who receives the weekly audience on these terms."""
    grant = {name: more.pop(name) for name in ("embargo_hours", "kept_days") if name in more}
    acme = ENTITLEMENTS["recipients"][0] | {"receives": {"weekly_audience": grant}, "stores": list(stores), **more}
    return Entitlements.model_validate({"recipients": [acme]})


def sent(workspace: Workspace, place: Place) -> SendingReport:
    """What came of bringing one store up to date."""
    return send(workspace, entitled(place.address))


def forget(workspace: Workspace) -> None:
    """Lose what is remembered of stores."""
    shutil.rmtree(workspace.sent, ignore_errors=True)


def releases_in(contents: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """What a reader takes for releases: folders with a manifest; each is known to be whole and genuine."""
    found = {}
    for path in contents:
        folder, _, name = path.rpartition("/")
        if name == "manifest.json":
            inside = [one for one in contents if one.startswith(f"{folder}/")]
            found[folder] = {one.removeprefix(f"{folder}/"): contents[one] for one in inside}
            _require_genuine(found[folder], contents["minisign.pub"])
    return found


def _require_genuine(files: Mapping[str, bytes], public_key: bytes) -> None:
    signature = minisign.Signature.from_bytes(files["manifest.json.minisig"])
    minisign.PublicKey.from_bytes(public_key).verify(files["manifest.json"], signature)
    manifest = Manifest.from_bytes(files["manifest.json"])
    listed = {entry.path for entry in (*manifest.files, manifest.sums)}
    assert set(files) == listed | {"manifest.json", "manifest.json.minisig"}
    assert files["SHA256SUMS"] == sums_bytes(manifest.files)
    for entry in manifest.files:
        assert (len(files[entry.path]), hashlib.sha256(files[entry.path]).hexdigest()) == (entry.bytes, entry.sha256)
