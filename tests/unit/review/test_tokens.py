"""Tokens: what they open, for how long, and whose they are."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.errors import AccessError
from pipeline.review.accounts import Accounts
from pipeline.review.sessions import Sessions
from tests.accounts import NOW, OTHER, PASSWORD, refusal

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


def test_a_token_signs_until_it_expires(accounts: Accounts) -> None:
    token = accounts.issue_token("ana", PASSWORD, 3, NOW)
    assert token.startswith("dgr_")
    assert len(token) == 47
    assert accounts.check_in("ana", token, NOW + 2 * DAY) == "ana"
    assert accounts.signer("ana", token, NOW + 3 * DAY - MINUTE).name == "ana"
    with pytest.raises(AccessError):
        accounts.signer("ana", token, NOW + 3 * DAY)


def test_a_token_of_another_account_opens_nothing(accounts: Accounts) -> None:
    accounts.add("ben", OTHER)
    token = accounts.issue_token("ben", OTHER)
    refusal(accounts, "ana", token)
    with pytest.raises(AccessError):
        accounts.signer("ana", token)


def test_a_token_lives_a_year_at_most(accounts: Accounts) -> None:
    for days in (0, -1, 367):
        with pytest.raises(AccessError, match="1 to 366 days"):
            accounts.issue_token("ana", PASSWORD, days)


def test_a_revoked_token_opens_nothing_and_its_number_is_not_given_again(accounts: Accounts) -> None:
    first, second = (accounts.issue_token("ana", PASSWORD) for _ in range(2))
    ticket = Sessions(accounts.database).begin("ana")
    accounts.revoke_token("ana", 2)
    with pytest.raises(AccessError):
        accounts.signer("ana", second)
    assert accounts.signer("ana", first)
    assert Sessions(accounts.database).find(ticket.secret) is None
    accounts.issue_token("ana", PASSWORD)
    assert [token.number for token in accounts.tokens("ana")] == [1, 3]
    for number in (2, 99):
        with pytest.raises(AccessError, match="must be one of the account"):
            accounts.revoke_token("ana", number)


def test_a_token_of_one_account_is_not_revoked_by_another(accounts: Accounts) -> None:
    accounts.add("ben", OTHER)
    accounts.issue_token("ana", PASSWORD)
    with pytest.raises(AccessError):
        accounts.revoke_token("ben", 1)
