"""Whatever is cut, at whichever byte: readers see a whole, genuine release or none, and all comes in the end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.workspace import Workspace
from tests.delivering import DeliveredSite, small
from tests.sending import EDITION, Place, folder_place, forget, releases_in, s3_place, sent, sftp_place
from tests.stores import s3_server, sftp_server, wire_to

CUTS = 20


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    site = DeliveredSite(tmp_path_factory.mktemp("site"))
    site.deliver(small(release="weekly_audience"), "2026-W41", site.reviewer())
    return site.workspace


@pytest.fixture(params=["s3", "sftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HOME", str(tmp_path))
    if request.param == "s3":
        with s3_server() as port, wire_to(port) as wire:
            yield s3_place(port, wire, monkeypatch)
        return
    with sftp_server(tmp_path) as server, wire_to(server.port) as wire:
        yield sftp_place(tmp_path, server, wire, monkeypatch)


def require_published(workspace: Workspace, contents: dict[str, bytes]) -> None:
    """Every byte of the one edition, as it is published, and nothing else but what points at it."""
    folder = workspace.published / EDITION
    assert releases_in(contents) == {EDITION: {path.name: path.read_bytes() for path in folder.iterdir()}}
    assert not [path for path in contents if path.endswith(".partial")]
    assert contents["partner/index.json"] == (workspace.published / "partner" / "index.json").read_bytes()


def test_a_line_that_is_cut_at_any_byte_leaves_no_half_release(workspace: Workspace, place: Place) -> None:
    assert place.wire
    forget(workspace)
    place.wire.mend()
    assert sent(workspace, place).problems == ()
    require_published(workspace, place.contents())
    total, failed, seen = place.wire.passed, 0, set()
    chance = random.Random(20261130)  # noqa: S311 - the same cuts each time
    for number in range(CUTS):
        place.clear()
        forget(workspace)
        place.wire.mend(left=int(total * (number + chance.random()) / CUTS))
        failed += bool(sent(workspace, place).problems)
        contents = place.contents()
        seen.add(sum(path.startswith(EDITION) for path in contents))
        assert set(releases_in(contents)) <= {EDITION}
        place.wire.mend()
        assert sent(workspace, place).problems == ()
        require_published(workspace, place.contents())
    assert failed >= CUTS - 2  # the last bytes may be those of a farewell
    assert len(seen) > 5  # they were cut in different files


def test_a_sender_that_is_killed_at_any_moment_leaves_no_half_release(workspace: Workspace, tmp_path: Path) -> None:
    place, seen = folder_place(tmp_path / "store"), set()
    chance = random.Random(20261130)  # noqa: S311 - the same moments each time
    forget(workspace)
    began = time.monotonic()
    assert sent(workspace, place).problems == ()
    whole = time.monotonic() - began
    require_published(workspace, place.contents())
    for number in range(CUTS):
        place.clear()
        forget(workspace)
        child = os.fork()
        if not child:
            sent(workspace, place)
            os._exit(0)
        time.sleep(1.5 * whole * (number + chance.random()) / CUTS)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        contents = place.contents()
        seen.add(sum(path.startswith(EDITION) for path in contents))
        assert set(releases_in(contents)) <= {EDITION}
        assert sent(workspace, place).problems == ()
        require_published(workspace, place.contents())
    assert len(seen) > 3
