"""Accounts in either database, and a ledger in memory with reviewers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.review.accounts import Accounts
from tests.accounts import PASSWORD, accounts_at
from tests.reviewing import Desk


@pytest.fixture
def accounts(address: str, tmp_path: Path) -> Accounts:
    """Accounts of which Ana has one."""
    found = accounts_at(address, tmp_path / "reviewers")
    found.add("ana", PASSWORD)
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def waiting(desk: Desk) -> Desk:
    desk.candidate()
    return desk
