"""Error logs, block by block, in the memory of the engine: of each error its time, level, kind and keyed address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from pipeline.deidentify.accounting import Accounting, Tally, Verdicts
from pipeline.deidentify.error_lines import ERRORS
from pipeline.deidentify.requests import OUTSIDE, RequestStage, address_key
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.sources.error_formats import error_fields
from pipeline.vocabulary import ERROR_KINDS, ERROR_LEVELS

REJECTED: Final = ("format", "time", "no address")
# What a server says of itself, to nobody.
NO_CLIENT: Final = "no client"
NO_REQUEST_BESIDE: Final = "no request of a visitor beside it"


class ErrorStage:
    """The counts of one run, and what error logs tell."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, site: SiteFile, period: Period) -> None:
        self._engine = engine
        self._start, self._end = (bound.timestamp() for bound in period.bounds(site.zone))
        self._tally = Tally(REJECTED)
        self._told: list[pa.Table] = []

    def generalise(self, lines: pa.Table, zone: ZoneInfo, file: int, requests: RequestStage) -> None:
        """Count every line in one place, and keep what the others tell.

        Args:
            lines: ``line`` and ``number``.
            zone: Of the server's clock.
            file: Its number.
            requests: Knows addresses.
        """
        self._engine.register("lines", lines)
        self._engine.execute(self._sql(zone))
        self._engine.unregister("lines")
        requests.learn_addresses("erring")
        self._engine.execute(_JUDGED)
        self._tally.add(self._engine, "erred", file)
        told = self._engine.sql(f"SELECT {address_key('visitor_address')} AS address, moment, level, kind FROM {_TOLD}")
        self._told.append(told.to_arrow_table().cast(ERRORS))

    def table(self) -> pa.Table:
        """What was told so far, of the schema ``ERRORS``."""
        return pa.concat_tables([ERRORS.empty_table(), *self._told])

    @property
    def verdicts(self) -> Verdicts:
        """On the lines so far."""
        return self._tally.verdicts

    def _sql(self, zone: ZoneInfo) -> str:
        levels, kinds = (f"[{', '.join(map(repr, keys))}]" for keys in (ERROR_LEVELS, ERROR_KINDS))
        return f"""
            CREATE OR REPLACE TEMP TABLE erring AS
            SELECT number, address, epoch_us(moment) - {round(self._start * 1e6)} AS moment,
                list_position({levels}, error_level) - 1 AS level, list_position({kinds}, error_kind) - 1 AS kind,
                CASE WHEN error_level IS NULL THEN 'format' WHEN moment IS NULL THEN 'time'
                    WHEN epoch(moment) < {self._start!r} OR epoch(moment) >= {self._end!r} THEN '{OUTSIDE}'
                    WHEN address = '' THEN '{NO_CLIENT}' END AS refused
            FROM ({error_fields(zone)})"""


def accounting_of(verdicts: Verdicts, beside: int, labels: Sequence[str] = ()) -> Accounting:
    """What became of the lines of error logs, of which so many have a request beside them."""
    counts = verdicts.counts | {NO_REQUEST_BESIDE: verdicts.counts.get("told", 0) - beside, "told": beside}
    ended = verdicts.model_copy(update={"counts": counts})
    return ended.accounting(beside, (OUTSIDE, NO_CLIENT, "internal", NO_REQUEST_BESIDE), REJECTED, labels)


_JUDGED: Final = """
    CREATE OR REPLACE TEMP TABLE erred AS
    SELECT erring.*, visitor_address,
        CASE WHEN refused IS NOT NULL THEN refused
            WHEN visitor_address IS NULL THEN 'no address' WHEN internal THEN 'internal' ELSE 'told' END AS verdict
    FROM erring LEFT JOIN addresses USING (address)"""
_TOLD: Final = "erred WHERE verdict = 'told'"
