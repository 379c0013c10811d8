"""Payment-instrument data: recognised by the names of columns and by what stands in them, and refused.

Card and account data may be used for paying only, so a source that carries them is not read any further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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

# What is shorter cannot be one, and is not looked at closer: most columns are told by their length alone.
_LEAST_LENGTH: Final = 12
_LEAST_NUMBER: Final = 10 ** (_LEAST_LENGTH - 1)
_LEAST_MONTH: Final = 5
_PERHAPS: Final = "^[ .-]*([A-Za-z][ .-]*[A-Za-z][ .-]*)?[0-9*xX\u2022#][0-9A-Za-z*\u2022# .-]+$"
# Month and year of a card: 09/27, 09-2027, 09 / 27.
_EXPIRY: Final = r"^(0[1-9]|1[0-2]) ?[/-] ?(20)?\d\d *$"

ENOUGH_VALUES: Final = 5
ENOUGH_SHARE: Final = 0.01
# One in ten numbers passes Luhn by chance, nearly every card number does: half of them lies far from both.
PASSING_SHARE: Final = 0.5
EXPIRY_SHARE: Final = 0.9
_LONGEST_VALIDITY: Final = 12 * 20  # months from now; cards are valid for ten years at most

_NONE: Final = (0, 0, None)  # candidates, those that pass, digests of these

# Of ``looked_at(value, times)``: rows with a value; how many look like cards, how many are, digests of these; the same
# of IBANs.
_COUNT_NUMBERS: Final = f"""
    WITH whole AS (
        SELECT times, regexp_replace(trim(value), '\\.0+$', '') AS value FROM looked_at
        WHERE strlen(value) >= {_LEAST_LENGTH} AND regexp_matches(value, ?)
    ), numbers AS (
        SELECT times, CASE WHEN NOT regexp_full_match(value, '{_FRACTION}')
            THEN upper(regexp_replace(value, '[ .-]', '', 'g')) END AS number
        FROM whole
    ), looked AS (
        SELECT times, number,
            length(number) BETWEEN 12 AND 19 AND regexp_matches(number, ?) AS card,
            length(number) BETWEEN 12 AND 19 AND regexp_matches(number, ?) AS masked,
            length(number) BETWEEN 15 AND 34 AND regexp_matches(number, ?) AS iban
        FROM numbers
    ), checked AS (
        SELECT times, number, card OR masked AS card, masked OR CASE WHEN card THEN {_LUHN} END AS good_card,
            iban, CASE WHEN iban THEN {_MOD_97} END AS good_iban
        FROM looked
    )
    SELECT (SELECT coalesce(sum(times) FILTER (trim(value) <> ''), 0) FROM looked_at),
        coalesce(sum(times) FILTER (card), 0), coalesce(sum(times) FILTER (good_card), 0),
        list(DISTINCT hash(number)) FILTER (good_card),
        coalesce(sum(times) FILTER (iban), 0), coalesce(sum(times) FILTER (good_iban), 0),
        list(DISTINCT hash(number)) FILTER (good_iban)
    FROM checked
"""
# Of the same: rows with a value, with month and year as on a card, those of them that are to come, digests of these.
_COUNT_EXPIRIES: Final = f"""
    WITH months AS (
        SELECT times, regexp_replace(value, '[ /-]', '', 'g') AS written FROM looked_at
        WHERE regexp_matches(value, ?)
    ), told AS (
        SELECT times, written, (2000 + right(written, 2)::INT - year(current_date)) * 12
            + left(written, 2)::INT - month(current_date) AS ahead
        FROM months
    )
    SELECT (SELECT coalesce(sum(times) FILTER (trim(value) <> ''), 0) FROM looked_at),
        coalesce(sum(times), 0), coalesce(sum(times) FILTER (ahead BETWEEN 0 AND {_LONGEST_VALIDITY}), 0),
        list(DISTINCT hash(written)) FILTER (ahead BETWEEN 0 AND {_LONGEST_VALIDITY})
    FROM told
"""


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

    def add(self, filled: int, candidates: int, passing: int, digests: list[int] | None) -> None:
        """Count in what was found in a batch."""
        self.filled += filled
        self.candidates += candidates
        self.passing += passing
        if len(self.distinct) < ENOUGH_VALUES:
            self.distinct.update((digests or [])[:ENOUGH_VALUES])

    def has_numbers(self) -> bool:
        """Whether these are numbers of cards or accounts."""
        enough = len(self.distinct) >= ENOUGH_VALUES or self.passing >= ENOUGH_SHARE * self.filled
        return self.passing > 0 and enough and self.passing >= PASSING_SHARE * self.candidates

    def has_expiries(self) -> bool:
        """Whether these are months in which cards expire."""
        mostly = self.candidates >= EXPIRY_SHARE * self.filled
        return len(self.distinct) >= ENOUGH_VALUES and mostly and self.passing >= PASSING_SHARE * self.candidates


class PaymentWatch:
    """Looks for card numbers, IBANs and card expiries in the columns of batches, in memory.

    A column is refused when at least five distinct values, or 1 % of its rows, pass the check of card numbers or of
    IBANs, and at least half of what looks like such a number does: ordinary long numbers pass by chance only.

    It is refused as well when at least nine in ten of its values are a month and a year as cards bear them (``09/27``,
    ``09-2027``), at least half of these are of this month or of the twenty years to come, and five of those differ:
    months of what has happened lie in the past. Whoever has another month to come in that form writes it as ISO 8601.

    A security code (CVV) is three or four digits, as much else is: such a column is known by its name alone.
    """

    def __init__(self, columns: Sequence[str], label: str) -> None:
        self._columns, self._label = tuple(columns), label
        self._numbers = {(name, kind): _Tally() for name in columns for kind in ("card", "iban")}
        self._expiries = {name: _Tally() for name in columns}

    def look(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        """Count what looks like a payment instrument in a relation whose columns are text: ``c0``, ``c1``, ..."""
        for place in range(len(self._columns)):
            found = connection.sql(f"SELECT c{place}, count(*) FROM {relation} GROUP BY ALL")
            assert found is not None
            values, times = pa.table(found.to_arrow_table()).combine_chunks().columns
            self._look_at_column(connection, place, values, times)

    def look_at(self, connection: duckdb.DuckDBPyConnection, batch: pa.RecordBatch) -> None:
        """Count what looks like a payment instrument in the columns, in their order.

        Text, plain or as a dictionary, and whole numbers are looked at; dates and times can be none.
        """
        for place, column in enumerate(batch.columns):
            if isinstance(column, pa.DictionaryArray):
                counted = pc.value_counts(column.indices)
                values = pc.take(column.dictionary, counted.field("values"))
                self._look_at_column(connection, place, values, counted.field("counts"))
            elif pa.types.is_string(column.type):
                self._look_at_column(connection, place, column, None)
            elif pa.types.is_integer(column.type):
                large = pc.or_(pc.greater_equal(column, _LEAST_NUMBER), pc.less_equal(column, -_LEAST_NUMBER))
                self._look_at_column(connection, place, pc.abs(column.filter(large)).cast(pa.string()), None)

    def refuse(self) -> None:
        """Refuse the source if any column carries payment instruments.

        Raises:
            PaymentDataError: Names the column, never what it holds.
        """
        found = [name for (name, _kind), tally in self._numbers.items() if tally.has_numbers()]
        found += [name for name, tally in self._expiries.items() if tally.has_expiries()]
        for name in found:
            raise _refusal(self._label, name, self._columns.index(name) + 1)

    def _look_at_column(self, connection: duckdb.DuckDBPyConnection, place: int, values: Any, times: Any) -> None:
        """Count in the values of a column, each as often as ``times`` says."""
        name = self._columns[place]
        lengths = pc.fill_null(pc.binary_length(values), 0)
        longest = pc.max(lengths).as_py() or 0
        filled = pc.greater(lengths, 0)
        count = pc.sum(filled if times is None else times.filter(filled)).as_py() or 0
        numbers = longest >= _LEAST_LENGTH and _is_any(pc.match_substring_regex(values, _PERHAPS))
        months = longest >= _LEAST_MONTH and _may_be_months(values)
        cards, ibans, expiries = _NONE, _NONE, _NONE
        if numbers or months:
            weights = pa.array(np.ones(len(values), np.int64)) if times is None else times
            connection.register("looked_at", pa.table({"value": values, "times": weights}))
            if numbers:
                count, *found = _found(connection, _COUNT_NUMBERS, [_PERHAPS, _CARD, _MASKED, _IBAN])
                cards, ibans = tuple(found[:3]), tuple(found[3:])
            if months:
                count, *found = _found(connection, _COUNT_EXPIRIES, [_EXPIRY])
                expiries = tuple(found)
            connection.unregister("looked_at")
        self._numbers[name, "card"].add(count, *cards)
        self._numbers[name, "iban"].add(count, *ibans)
        self._expiries[name].add(count, *expiries)


def _may_be_months(values: Any) -> bool:
    """Whether any value is a month and a year as on a card; most are told by their third sign."""
    third = pc.binary_slice(values.cast(pa.binary()), 2, 3)
    if not _is_any(pc.is_in(third, pa.array([b"/", b"-", b" "], pa.binary()))):
        return False
    return _is_any(pc.match_substring_regex(values, _EXPIRY))


def _is_any(found: Any) -> bool:
    return pc.any(found).as_py() is True


def _found(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[str]) -> tuple[Any, ...]:
    (row,) = connection.execute(query, list(parameters)).fetchall()
    return tuple(row)


def _refusal(label: str, column: str, place: int) -> PaymentDataError:
    return PaymentDataError(
        f"{label}: card and account data are for paying only and may not be in a source",
        value=f"payment-instrument data in {show_name(column, place)}",
        remedy="Leave the column out of the export, or read a view without it.",
    )
