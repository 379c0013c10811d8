"""The log of what was done by accounts and to them, which can only grow."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.errors import LedgerError
from pipeline.review.accounts import Accounts
from pipeline.review.trail import What
from tests import postgresql
from tests.accounts import NOW, OTHER, PASSWORD, accounts_at, whats


def test_the_log_says_in_order_what_was_done(accounts: Accounts) -> None:
    accounts.check_in("ana", PASSWORD, NOW)
    accounts.issue_token("ana", PASSWORD)
    accounts.revoke_token("ana", 1)
    accounts.change_password("ana", PASSWORD, OTHER)
    accounts.note("ana", What.APPROVED, "weekly/2026-W41/r1")
    accounts.unlock("ana")
    accounts.remove("ana")
    assert whats(accounts) == [
        What.ADDED, What.LOGGED_IN, What.ISSUED, What.REVOKED, What.CHANGED, What.APPROVED, What.UNLOCKED, What.REMOVED,
    ]  # fmt: skip
    assert [event.number for event in accounts.events(3)] == [8, 7, 6]
    assert accounts.events()[2].about == "weekly/2026-W41/r1"
    assert PASSWORD not in repr(accounts.events())


@pytest.mark.parametrize("change", ["UPDATE reviewer_events SET account = 'eve'", "DELETE FROM reviewer_events"])
def test_no_line_of_the_log_can_be_changed(accounts: Accounts, change: str) -> None:
    with pytest.raises(LedgerError, match="append-only"), accounts.database.writing() as connection:
        connection.exec_driver_sql(change)
    assert whats(accounts) == [What.ADDED]


def test_a_log_in_postgresql_cannot_be_emptied_either(postgresql_server: sa.URL, tmp_path: Path) -> None:
    with postgresql.schema(postgresql_server) as address:
        found = accounts_at(address, tmp_path)
        with pytest.raises(LedgerError), found.database.writing() as connection:
            connection.exec_driver_sql("TRUNCATE reviewer_events")
