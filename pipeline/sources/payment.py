"""Payment-instrument data: recognised by the names of columns and by what stands in them, and refused.

Card and account data may be used for paying only, so a source that carries them is not read any further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb

from pipeline.errors import PaymentDataError
from pipeline.sources.headers import show_name, words_of

# Words that say it alone, and words that say it one after the other.
_WORDS: Final = frozenset(
    {"iban", "bban", "pan", "cvv", "cvc", "kartennummer", "kreditkarte", "kreditkartennummer", "kontonummer"}
)
_PHRASES: Final = tuple(
    tuple(phrase.split())
    for phrase in (
        "card number", "card no", "card nr", "card num", "card expiry", "card expires", "card expiration",
        "card exp", "card holder", "card token", "card pin", "card code", "card last", "card security",
        "credit card", "debit card", "payment card", "bank card", "cc number", "cc no", "cc num", "cc exp",
        "cc expiry", "expiry month", "expiry year", "exp month", "exp year", "account number", "account no",
        "account nr", "bank account", "bank code", "sort code", "routing number", "routing no", "aba number",
        "security code", "primary account", "last four", "last 4", "direct debit", "sepa mandate",
    )
)  # fmt: skip
_WHOLE_NAMES: Final = frozenset({"card", "cards", "cc", "bic", "swift"})

# First digits and lengths of the card schemes (ISO/IEC 7812; the schemes' published issuer ranges).
_CARD: Final = (
    "^(4(\\d{12}|\\d{15}|\\d{18})"  # Visa
    "|5[1-5]\\d{14}|(222[1-9]|22[3-9]\\d|2[3-6]\\d\\d|27[01]\\d|2720)\\d{12}"  # Mastercard
    "|3[47]\\d{13}"  # American Express
    "|3(0[0-5]|[689]\\d)\\d{11,16}"  # Diners Club
    "|35(2[89]|[3-8]\\d)\\d{12,15}"  # JCB
    "|6(011|5\\d\\d|4[4-9]\\d)\\d{12,15}"  # Discover
    "|62\\d{14,17}"  # UnionPay
    "|(5018|5020|5038|6304|6759|676[1-3])\\d{8,15})$"  # Maestro
)
_MASKED: Final = "^\\d{0,6}[*xX\u2022#]{4,12}\\d{4}$"
# An amount or a rate, with as many digits as a computer writes: 49.98999999999999. No number of a card has one point.
_FRACTION: Final = r"[-+]?\d+\.\d+"
_IBAN: Final = "^[A-Z]{2}\\d{2}[A-Z0-9]{11,30}$"

# Luhn (ISO/IEC 7812-1, annex B): from the right, every second digit doubled and its digits added.
_LUHN: Final = """list_sum(list_transform(string_split(reverse(number), ''), lambda digit, place:
    CASE WHEN place % 2 = 1 THEN digit::INT ELSE digit::INT * 2 - CASE WHEN digit::INT > 4 THEN 9 ELSE 0 END END
)) % 10 = 0"""
# IBAN (ISO 13616-1): the first four characters go last, letters count from A = 10, the remainder by 97 is 1.
_MOD_97: Final = """list_reduce(list_prepend(0, list_transform(string_split(number[5:] || number[:4], ''), lambda sign:
    CASE WHEN sign >= 'A' THEN ascii(sign) - 55 ELSE ascii(sign) - 48 END)),
    lambda total, value: (total * (CASE WHEN value > 9 THEN 100 ELSE 10 END) + value) % 97) = 1"""

ENOUGH_VALUES: Final = 5
ENOUGH_SHARE: Final = 0.01
# One in ten numbers passes Luhn by chance, nearly every card number does: half of them lies far from both.
PASSING_SHARE: Final = 0.5


def refuse_payment_names(columns: Iterable[str], label: str) -> None:
    """Refuse a header that names payment-instrument data, whether the column is read or not.

    Raises:
        PaymentDataError: Names the column.
    """
    for place, name in enumerate(columns, 1):
        if names_payment(name):
            raise _refusal(label, name, place)


def names_payment(column: str) -> bool:
    """Whether a column's name says payment instrument: by whole words, so ``company`` and ``expand`` do not."""
    tokens = words_of(column)
    joined = {*tokens, "".join(tokens)}
    if joined & _WORDS or joined & {"".join(phrase) for phrase in _PHRASES} or "".join(tokens) in _WHOLE_NAMES:
        return True
    return any(tokens[start : start + len(phrase)] == phrase for phrase in _PHRASES for start in range(len(tokens)))


@dataclass
class _Tally:
    """Of one column: rows with a value, rows with a candidate, rows that pass, and digests of what passes."""

    filled: int = 0
    candidates: int = 0
    passing: int = 0
    distinct: set[int] = field(default_factory=set)

    def carries(self) -> bool:
        enough = len(self.distinct) >= ENOUGH_VALUES or self.passing >= ENOUGH_SHARE * self.filled
        return self.passing > 0 and enough and self.passing >= PASSING_SHARE * self.candidates


class PaymentWatch:
    """Looks for card numbers and IBANs in the columns of batches, in memory.

    A column is refused when at least five distinct values, or 1 % of its rows, pass their scheme's check and at
    least half of what looks like such a number does: ordinary long numbers pass by chance only.
    """

    def __init__(self, columns: Sequence[str], label: str) -> None:
        self._columns, self._label = tuple(columns), label
        self._tallies = {(name, kind): _Tally() for name in columns for kind in ("card", "iban")}

    def look(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Count what looks like a payment instrument in a relation whose columns are ``c0``, ``c1``, ..."""
        connection.execute(f"CREATE TEMP MACRO IF NOT EXISTS passes_luhn(number) AS {_LUHN}")
        connection.execute(f"CREATE TEMP MACRO IF NOT EXISTS passes_mod_97(number) AS {_MOD_97}")
        for place, name in enumerate(self._columns):
            row = connection.execute(_count(f"c{place}", relation), [_CARD, _MASKED, _IBAN]).fetchone()
            assert row is not None
            filled, cards, good_cards, ibans, good_ibans, some_cards, some_ibans = row
            _add(self._tallies[name, "card"], filled, cards, good_cards, some_cards)
            _add(self._tallies[name, "iban"], filled, ibans, good_ibans, some_ibans)

    def refuse(self) -> None:
        """Refuse the source if any column carries payment instruments.

        Raises:
            PaymentDataError: Names the column, never what it holds.
        """
        for (name, _kind), tally in self._tallies.items():
            if tally.carries():
                raise _refusal(self._label, name, self._columns.index(name) + 1)


def _count(column: str, relation: str) -> str:
    return f"""
        WITH whole AS (
            SELECT CASE WHEN length({column}) >= 12 THEN regexp_replace(trim({column}), '\\.0+$', '') END AS value
            FROM {relation} WHERE trim({column}) <> ''
        ), numbers AS (
            SELECT CASE WHEN NOT regexp_full_match(value, '{_FRACTION}')
                THEN upper(regexp_replace(value, '[ .-]', '', 'g')) END AS number
            FROM whole
        ), looked AS (
            SELECT number,
                length(number) BETWEEN 12 AND 19 AND regexp_matches(number, ?) AS card,
                length(number) BETWEEN 12 AND 19 AND regexp_matches(number, ?) AS masked,
                length(number) BETWEEN 15 AND 34 AND regexp_matches(number, ?) AS iban
            FROM numbers
        ), checked AS (
            SELECT number, card OR masked AS card, masked OR CASE WHEN card THEN passes_luhn(number) END AS good_card,
                iban, CASE WHEN iban THEN passes_mod_97(number) END AS good_iban
            FROM looked
        )
        SELECT count(*), count(*) FILTER (card), count(*) FILTER (good_card),
            count(*) FILTER (iban), count(*) FILTER (good_iban),
            list(DISTINCT hash(number)) FILTER (good_card), list(DISTINCT hash(number)) FILTER (good_iban)
        FROM checked
    """


def _add(tally: _Tally, filled: int, candidates: int, passing: int, digests: list[int] | None) -> None:
    tally.filled += filled
    tally.candidates += candidates
    tally.passing += passing
    if len(tally.distinct) < ENOUGH_VALUES:
        tally.distinct.update((digests or [])[:ENOUGH_VALUES])


def _refusal(label: str, column: str, place: int) -> PaymentDataError:
    return PaymentDataError(
        f"{label}: card and account data are for paying only and may not be in a source",
        value=f"payment-instrument data in {show_name(column, place)}",
        remedy="Leave the column out of the export, or read a view without it.",
    )
