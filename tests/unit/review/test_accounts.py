"""Who a reviewer is, and the key that this opens."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import AccessError, DemographicsError
from pipeline.privacy import database
from pipeline.review import lockout, sealing
from pipeline.review.accounts import Accounts
from pipeline.review.passwords import Hashing, require_password
from pipeline.review.reviewers import Reviewers
from pipeline.review.sessions import Sessions
from pipeline.review.tables import ACCOUNTS, TOKENS
from pipeline.review.trail import What
from tests.accounts import NOW, OTHER, PASSWORD, WRONG, accounts_at, guess, quick, refusal, whats
from tests.hostile_texts import HOSTILE

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


def fail(accounts: Accounts, times: int, now: dt.datetime = NOW) -> None:
    for _ in range(times):
        refusal(accounts, "ana", WRONG, now)


def test_the_right_password_lets_in_and_opens_the_key_of_the_public_half(accounts: Accounts) -> None:
    assert accounts.check_in("ana", PASSWORD, NOW) == "ana"
    signer, public = accounts.signer("ana", PASSWORD), accounts.reviewers.find("ana")
    assert public is not None
    assert public.has_signed(b"words", signer.sign(b"words"))
    assert not signer.scripted


def test_a_wrong_password_a_wrong_name_and_a_locked_account_are_refused_in_the_same_words(accounts: Accounts) -> None:
    said = {refusal(accounts, "ana", WRONG), refusal(accounts, "nobody", PASSWORD), refusal(accounts, "ana", "dgr_x")}
    fail(accounts, lockout.MOST_FAILURES)
    said |= {refusal(accounts, "ana", PASSWORD)}
    assert len(said) == 1
    assert "ana" not in said.pop()


def test_whatever_is_sent_as_name_or_as_secret_is_refused_in_words(accounts: Accounts) -> None:
    for text in HOSTILE.values():
        for name, secret in ((text, PASSWORD), ("ana", text), ("ana", f"dgr_{text}"), ("ana", f"\ud800{text}")):
            refusal(accounts, name, secret)
        accounts.unlock("ana")
    assert {event.account for event in accounts.events(1000)} == {"ana", "unknown"}


def test_a_name_of_no_account_is_not_written_down(accounts: Accounts) -> None:
    refusal(accounts, "hunter2hunter2", PASSWORD)
    assert accounts.events()[0].account == "unknown"
    assert "hunter2" not in repr(accounts.events())


def test_ten_failures_in_a_row_lock_an_account_for_a_quarter_of_an_hour(accounts: Accounts) -> None:
    fail(accounts, 9)
    assert not accounts.is_locked("ana", NOW)
    fail(accounts, 1)
    refusal(accounts, "ana", PASSWORD, NOW + 14 * MINUTE)
    assert accounts.check_in("ana", PASSWORD, NOW + 15 * MINUTE) == "ana"
    assert whats(accounts).count(What.LOCKED_OUT) == 1


def test_a_locked_account_signs_nothing_either(accounts: Accounts) -> None:
    token = accounts.issue_token("ana", PASSWORD)
    for _ in range(lockout.MOST_FAILURES):
        with pytest.raises(AccessError):
            accounts.signer("ana", WRONG)
    for secret in (PASSWORD, token):
        with pytest.raises(AccessError):
            accounts.signer("ana", secret)


def test_a_success_forgets_failures_before_it(accounts: Accounts) -> None:
    for _ in range(3):
        fail(accounts, 9)
        accounts.check_in("ana", PASSWORD, NOW)
    assert not accounts.is_locked("ana", NOW)


def test_each_ten_failures_more_lock_twice_as_long_and_a_day_at_most(accounts: Accounts) -> None:
    assert [lockout.lock_of(failures) for failures in (9, 10, 20, 30)] == [
        0 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        60 * MINUTE,
    ]
    assert lockout.lock_of(100) == lockout.lock_of(1_000_000) == DAY
    fail(accounts, 10)
    fail(accounts, 10, NOW + 15 * MINUTE)
    assert accounts.is_locked("ana", NOW + 44 * MINUTE)
    assert not accounts.is_locked("ana", NOW + 45 * MINUTE)


def test_attempts_on_a_locked_account_do_not_lock_it_for_longer(accounts: Accounts) -> None:
    fail(accounts, 30)
    assert accounts.check_in("ana", PASSWORD, NOW + 15 * MINUTE) == "ana"


def test_who_looks_after_accounts_can_unlock_one(accounts: Accounts) -> None:
    fail(accounts, 10)
    accounts.unlock("ana")
    assert accounts.check_in("ana", PASSWORD, NOW) == "ana"
    with pytest.raises(AccessError, match="reviewer of that name, got ben"):
        accounts.unlock("ben")


def test_names_are_trimmed_and_nothing_else_is_done_to_them(accounts: Accounts) -> None:
    assert accounts.check_in(" ana ", PASSWORD, NOW) == "ana"
    refusal(accounts, "Ana", PASSWORD)


UNFIT = {
    "11 characters": "short words",
    "257 bytes": "grey heron " * 23 + "four",
    "129 characters of two bytes": "äëïöü" * 25 + "äëïö",
    "the account's name": "Ana likes herons",
    "a common one": "Password1234",
    "one character": "aaaaaaaaaaaaaaaa",
    "a token's beginning": "dgr_four grey herons",
    "no text": "\ud800 four grey herons",
}


def test_a_password_that_is_easily_guessed_or_not_whole_is_refused(accounts: Accounts) -> None:
    for password in UNFIT.values():
        with pytest.raises(AccessError, match="a reviewer's password must") as failure:
            accounts.change_password("ana", PASSWORD, password)
        assert password not in str(failure.value)
    assert accounts.check_in("ana", PASSWORD, NOW) == "ana"


def test_a_password_needs_no_digits_nor_capitals_and_may_have_256_bytes() -> None:
    for password in (PASSWORD, "ä" * 32 + "ünïcödé wörds", "x" * 200 + "abcd" * 14, "\x00 and four herons"):
        require_password("ana", password)


def test_all_of_a_long_password_counts(accounts: Accounts) -> None:
    long = "grey heron " * 23
    accounts.change_password("ana", PASSWORD, long)
    refusal(accounts, "ana", long[:-1])
    refusal(accounts, "ana", long + "x" * 10)
    assert accounts.check_in("ana", long, NOW)


def test_the_same_letters_are_the_same_password_however_they_are_composed(accounts: Accounts) -> None:
    accounts.change_password("ana", PASSWORD, "vier graue störche")
    assert accounts.check_in("ana", "vier graue sto\u0308rche", NOW)


def test_a_name_that_could_be_mistaken_is_refused_without_showing_it(accounts: Accounts) -> None:
    for name in ["", "Ana", "ana maria", "1ana", "ana\n", "ana\x00", "a" * 41, "../ana", "äna"]:
        with pytest.raises(AccessError, match="the name of an account must be") as failure:
            accounts.add(name, OTHER)
        assert failure.value.value is None
    assert accounts.names() == ("ana",)


def test_there_is_one_account_of_a_name(accounts: Accounts) -> None:
    before = accounts.reviewers.find("ana")
    with pytest.raises(AccessError, match="one account of a name"):
        accounts.add("ana", OTHER)
    assert accounts.reviewers.find("ana") == before
    assert accounts.check_in("ana", PASSWORD, NOW)


def test_a_person_has_one_account_so_that_two_reviewers_are_two_people(accounts: Accounts) -> None:
    accounts.add("ben", PASSWORD, also_known_as=["Benjamin", "bm"])
    for name, others in (("benny", ["BM"]), ("bm", []), ("carl", ["ana"])):
        with pytest.raises(AccessError, match="a person has one account"):
            accounts.add(name, OTHER, also_known_as=others)
    assert accounts.names() == ("ana", "ben")


def test_a_changed_password_opens_the_same_key_and_ends_sessions(accounts: Accounts) -> None:
    sessions, before = Sessions(accounts.database), accounts.reviewers.find("ana")
    ticket, token = sessions.begin("ana"), accounts.issue_token("ana", PASSWORD)
    accounts.change_password("ana", PASSWORD, OTHER)
    refusal(accounts, "ana", PASSWORD)
    assert sessions.find(ticket.secret) is None
    assert accounts.reviewers.find("ana") == before
    assert accounts.signer("ana", OTHER).sign(b"x") == accounts.signer("ana", token).sign(b"x")


def test_a_password_is_not_changed_by_who_does_not_know_it(accounts: Accounts) -> None:
    token = accounts.issue_token("ana", PASSWORD)
    for old in (WRONG, token):
        with pytest.raises(AccessError):
            accounts.change_password("ana", old, OTHER)
        with pytest.raises(AccessError):
            accounts.issue_token("ana", old)
    assert len(accounts.tokens("ana")) == 1


def test_who_is_removed_decides_no_more_and_keeps_their_public_key(accounts: Accounts) -> None:
    token, ticket = accounts.issue_token("ana", PASSWORD), Sessions(accounts.database).begin("ana")
    key = accounts.reviewers.find("ana")
    accounts.remove("ana")
    refusal(accounts, "ana", PASSWORD)
    refusal(accounts, "ana", token)
    assert Sessions(accounts.database).find(ticket.secret) is None
    assert (accounts.names(), accounts.tokens("ana")) == ((), ())
    assert key is not None
    assert accounts.reviewers.find("ana") == key.model_copy(update={"active": False})
    with pytest.raises(AccessError, match="reviewer of that name"):
        accounts.remove("ana")


def test_the_same_name_added_again_has_another_key(accounts: Accounts) -> None:
    before = accounts.signer("ana", PASSWORD).sign(b"x")
    accounts.remove("ana")
    accounts.add("ana", PASSWORD)
    assert accounts.signer("ana", PASSWORD).sign(b"x") != before


def test_a_scripted_account_says_so(accounts: Accounts) -> None:
    accounts.add("script", OTHER, scripted=True)
    assert accounts.signer("script", OTHER).scripted


def test_the_database_holds_neither_password_nor_token_nor_private_key(accounts: Accounts) -> None:
    token, key = accounts.issue_token("ana", PASSWORD), accounts.signer("ana", PASSWORD).private_key.private_bytes_raw()
    with accounts.database.reading() as connection:
        rows = repr([*connection.execute(ACCOUNTS.select()), *connection.execute(TOKENS.select())])
    assert "ana" in rows
    for secret in (PASSWORD, token, token[4:], key.hex(), repr(key)[2:-1]):
        assert secret not in rows
    assert PASSWORD not in repr(accounts)
    assert token not in repr(accounts)


def test_a_row_written_into_the_database_by_hand_makes_no_reviewer(accounts: Accounts) -> None:
    forged = Ed25519PrivateKey.generate()
    for name in ("ana", "eve"):
        row = {"name": name, "hash": accounts.hashing.hash(OTHER), "created": "", "failures": 0, "locked_until": None}
        row["sealed"] = sealing.seal_by_password(forged, name, OTHER, accounts.hashing)
        with accounts.database.writing() as connection:
            connection.execute(ACCOUNTS.delete().where(ACCOUNTS.c.name == name))
            connection.execute(ACCOUNTS.insert(), row)
        assert accounts.check_in(name, OTHER, NOW) == name  # they may read, and no more
        with pytest.raises(AccessError, match="whose public half the deployment keeps"):
            accounts.signer(name, OTHER)


def test_the_key_of_one_account_does_not_open_as_another_s(accounts: Accounts) -> None:
    accounts.add("ben", OTHER)
    with accounts.database.writing() as connection:
        sealed = connection.execute(sa.select(ACCOUNTS.c.sealed).where(ACCOUNTS.c.name == "ana")).scalar_one()
        hashed = accounts.hashing.hash(PASSWORD)
        mine = ACCOUNTS.update().where(ACCOUNTS.c.name == "ben").values(sealed=sealed, hash=hashed)
        connection.execute(mine)
    with pytest.raises(AccessError, match="must open with their password"):
        accounts.signer("ben", PASSWORD)


def test_a_seal_that_was_changed_is_refused_in_words(accounts: Accounts) -> None:
    for sealed in ("", "{}", "null", '{"passes":1,"memory":99999999999,"lanes":1}'):
        with accounts.database.writing() as connection:
            connection.execute(ACCOUNTS.update().values(sealed=sealed))
        with pytest.raises(AccessError, match="must open with their password"):
            accounts.signer("ana", PASSWORD)


def test_without_its_public_file_an_account_signs_nothing(accounts: Accounts) -> None:
    (accounts.reviewers.folder / "ana.pub").unlink()
    with pytest.raises(AccessError, match="got another one, or none, for ana"):
        accounts.signer("ana", PASSWORD)


def test_who_is_set_to_decide_no_more_by_file_signs_nothing(accounts: Accounts) -> None:
    found = accounts.reviewers.find("ana")
    assert found is not None
    accounts.reviewers.put(found.model_copy(update={"active": False}))
    with pytest.raises(AccessError):
        accounts.signer("ana", PASSWORD)


def test_an_account_without_its_file_can_be_removed_and_added_anew(accounts: Accounts) -> None:
    (accounts.reviewers.folder / "ana.pub").unlink()
    accounts.remove("ana")
    accounts.add("ana", OTHER)
    assert accounts.signer("ana", OTHER)


def test_a_public_key_that_cannot_be_written_makes_no_account(accounts: Accounts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    other = Accounts(accounts.database, Reviewers(tmp_path / "file"), quick())
    with pytest.raises(DemographicsError, match="public key"):
        other.add("ben", OTHER)
    assert accounts.names() == ("ana",)


def test_hashes_of_other_parameters_are_renewed_at_log_in(accounts: Accounts) -> None:
    signature = accounts.signer("ana", PASSWORD).sign(b"x")
    stronger = Accounts(accounts.database, accounts.reviewers, Hashing(PasswordHasher(2, 16, 1)))
    stronger.check_in("ana", PASSWORD, NOW)
    with accounts.database.reading() as connection:
        row = connection.execute(ACCOUNTS.select()).one()
    assert "m=16,t=2" in row.hash
    assert '"passes":2,"memory":16' in row.sealed
    assert accounts.signer("ana", PASSWORD).sign(b"x") == signature  # by its own parameters, not by today's


def test_processes_that_guess_at_once_are_counted_one_by_one(address: str, accounts: Accounts) -> None:
    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=guess, args=(address, accounts.reviewers.folder, 8)) for _ in range(2)]
    for one in running:
        one.start()
    for one in running:
        one.join(60)
    assert [one.exitcode for one in running] == [0, 0]
    assert whats(accounts).count(What.FAILED) == 16
    assert whats(accounts).count(What.LOCKED_OUT) == 1
    refusal(accounts, "ana", PASSWORD, dt.datetime.now(dt.UTC))
    with accounts.database.reading() as connection:
        assert connection.execute(ACCOUNTS.select()).one().failures == 10


def test_what_was_sealed_leaves_no_trace_in_a_sqlite_file(tmp_path: Path) -> None:
    found = accounts_at(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    found.add("ana", PASSWORD)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        (sealed,) = connection.execute("SELECT sealed FROM reviewer_accounts").fetchone()
    assert sealed.encode() in (tmp_path / "ledger.db").read_bytes()
    found.remove("ana")
    assert sealed.encode()[:200] not in (tmp_path / "ledger.db").read_bytes()


def test_as_it_is_delivered_a_password_costs_64_mebibytes_and_no_name_is_told_by_the_clock(tmp_path: Path) -> None:
    found = Accounts(database.opened(tmp_path / "ledger.db"), Reviewers(tmp_path))
    found.add("ana", PASSWORD)
    with found.database.reading() as connection:
        assert connection.execute(ACCOUNTS.select()).one().hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    took: dict[str, list[float]] = {"ana": [], "nobody": [], "Not A Name": []}
    for _ in range(5):
        for name, times in took.items():
            before = time.process_time()  # of the processor: other work beside does not count
            refusal(found, name, WRONG)
            times.append(time.process_time() - before)
    fastest, slowest = (choose(min(times) for times in took.values()) for choose in (min, max))
    assert fastest > 0.5 * slowest
