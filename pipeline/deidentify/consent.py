"""Which versions of the privacy policy bind a customer, and who opted out: SQL over the columns that tell it.

A row's versions are one number while it is in the engine: the place of the version that was accepted (or that was in
force on the day of sign-up), times the number of places, plus the place of the version that the customer was notified
of. Place 0 is none.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.deidentify.columns import instant_of
from pipeline.policy import NO_VERSION, Policy
from pipeline.site import CustomerSource, PolicyColumns
from pipeline.sources.engine import quoted

KIND = pa.int32()


@dataclass(frozen=True)
class Consent:
    """How the versions that bind a customer are told.

    Attributes:
        columns: What the site file declares.
        by_sign_up: Whether the date of sign-up is declared.
        policy: The site's; None where it has none, so that nobody's version is known.
        end: First day after the period.
    """

    columns: PolicyColumns
    by_sign_up: bool
    policy: Policy | None
    end: dt.date

    @classmethod
    def of(cls, customers: CustomerSource, policy: Policy | None, end: dt.date) -> Consent:
        """As the customers of a site are declared."""
        return cls(customers.policy, customers.signed_up is not None, policy, end)

    @property
    def read_columns(self) -> dict[str, str]:
        """Columns of the source that are read, by the name that the SQL here has for them."""
        return dict(self.columns.model_dump(exclude_none=True))

    @property
    def keys(self) -> tuple[str, ...]:
        """What a customer may be bound by, the closed list of ``policy_versions``: names with a space between."""
        return tuple(self._numbers)

    def is_out(self) -> str:
        """SQL: whether somebody opted out."""
        if self.columns.opted_out is None:
            return "false"
        told = "lower(trim(opted_out::VARCHAR))"
        is_zero = f"coalesce(try_cast({told} AS DOUBLE) = 0, false)"
        return f"(coalesce({told}, '') NOT IN ('', 'false', 'no', 'n', 'f') AND NOT {is_zero})"

    def code(self) -> str:
        """SQL: the number of a row's versions; ``signed_up`` is an instant, the other columns are as they were read."""
        if self.policy is None:
            return "0"
        accepted = self._named("accepted", self.policy.names) if self.columns.accepted else self._on_sign_up()
        return f"(({accepted}) * {len(self.policy.versions) + 1} + ({self._notified()}))::INTEGER"

    def texts(self, codes: pa.ChunkedArray) -> pa.ChunkedArray:
        """The versions of each number, as a dictionary of ``keys``."""
        places = {key: place for place, key in enumerate(self.keys)}
        of_number = pa.array([places[pair] for pair in self._pairs], KIND)
        keys = pa.array(self.keys, pa.string())
        found = [pa.DictionaryArray.from_arrays(pc.take(of_number, chunk), keys) for chunk in codes.chunks]
        return pa.chunked_array(found, pa.dictionary(KIND, pa.string()))

    def codes(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """A number for the versions of each text, which is one of ``keys``."""
        places = pc.index_in(texts.cast(pa.string()), pa.array(self.keys, pa.string()))
        return pc.take(pa.array(self._numbers.values(), KIND), places)

    @cached_property
    def _pairs(self) -> tuple[str, ...]:
        """Versions in words, by number; two numbers may be of the same ones."""
        names = (NO_VERSION, *(self.policy.names if self.policy else ()))
        return tuple(" ".join(dict.fromkeys(filter(None, pair))) for pair in itertools.product(names, repeat=2))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The first number of each."""
        numbers: dict[str, int] = {}
        for number, pair in enumerate(self._pairs):
            numbers.setdefault(pair, number)
        return numbers

    def _named(self, column: str, names: Sequence[str]) -> str:
        """SQL: the place of the version that a column names; 0 where it is none of these."""
        assert self.policy is not None
        places = {name: place for place, name in enumerate(self.policy.names, start=1)}
        named = "".join(f" WHEN {quoted(name)} THEN {places[name]}" for name in names)
        return f"CASE trim({column}::VARCHAR){named} ELSE 0 END" if named else "0"

    def _on_sign_up(self) -> str:
        """SQL: the place of the version that was in force on the day of sign-up."""
        if not self.by_sign_up:
            return "0"
        assert self.policy is not None
        days = [one.effective for one in self.policy.versions]
        since = "".join(
            f" WHEN signed_up >= TIMESTAMPTZ '{day}' THEN {place}" for place, day in reversed([*enumerate(days, 1)])
        )
        return f"CASE{since} ELSE 0 END"

    def _notified(self) -> str:
        """SQL: the place of the version of which notice was given so long ago that it binds by the period's end.

        A version that comes into force after the period binds nobody in it.
        """
        if self.columns.notified is None:
            return "0"
        assert self.policy is not None
        names = [one.version for one in self.policy.versions if one.effective < self.end]
        # The first day that is too late: a notice counts from its day on, and never one from after the period.
        after = self.end - dt.timedelta(days=max(self.policy.notice_days - 1, 0))
        in_time = f"coalesce({instant_of('notified_on::VARCHAR')} < TIMESTAMPTZ '{after}', false)"
        return f"CASE WHEN {in_time} THEN {self._named('notified', names)} ELSE 0 END"
