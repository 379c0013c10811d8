"""What must hold of any lines whatsoever, checked on the stages that read them."""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from pipeline.deidentify import errors, requests
from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.errors import ErrorStage
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.requests import LATER, RequestStage
from pipeline.errors import DemographicsError
from pipeline.periods import Period
from pipeline.site import ErrorLogSource, LogSource, SiteFile
from pipeline.sources.blocks import read_blocks
from pipeline.sources.formats import open_format
from pipeline.sources.places import LogFile
from pipeline.vocabulary import Population
from tests.fuzz.corpus import DAY, PLANTED, Kind

LABEL: Final = "x.log"
# Every dimension there is, and with domains as they are found as much as any site can let out.
CLOSED: Final[dict[str, Any]] = {
    "own_domains": ["example.com"],
    "referrer_domains": ["google.com"],
    "sections": [{"section": "docs", "paths": ["/docs/*"]}],
    "file_kinds": [{"kind": "download", "paths": ["/get/*"]}],
    "browser_versions": {"Firefox": [120, 130]},
    "time_zone_parameter": "tz",
    "trusted_proxies": ["10.0.0.0/8", "198.51.100.0/24"],
    "internal_networks": ["192.0.2.0/24"],
    "monitor_agents": ["OwnMonitor"],
    "error_logs": ["error.log"],
}
OPEN: Final[dict[str, Any]] = {"referrer_domains": "any"}
_PERSON: Final = re.compile("[0-9a-f]{32}")
_DOMAIN: Final = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{0,61}[^\W_]")


def site_of(options: dict[str, Any]) -> SiteFile:
    """A site whose visitors are read for a day; its zone has daylight-saving time."""
    visitors = {"logs": [LABEL], "period": "day", "max_rejected_share": 1, **options}
    return SiteFile.model_validate(
        {"site": "Fuzz", "visitors": visitors, "budget": {"visitors": {"epsilon": 1, "delta": 1e-6}}}
    )


class LineChecks:
    """The stages of one site, over one engine that stays.

    Args:
        engine: Sees all lines.
        options: Of the site's visitors.
    """

    def __init__(self, engine: duckdb.DuckDBPyConnection, options: dict[str, Any]) -> None:
        self._site = site_of(options)
        period = Period.parse(DAY)
        engine.execute("SET TimeZone = 'UTC'")
        PeriodKey(b"k" * 32).install(engine)
        self._stage = RequestStage(engine, self._site, period, Path())
        self._errors = ErrorStage(engine, self._site, period)
        dimensions = self._site.dimensions(Population.VISITORS)
        self._keys = {
            name: None if dimension.is_open else {*dimension.keys, *([None] if dimension.is_partial else [])}
            for name, dimension in dimensions.items()
            if name not in LATER
        }

    def requests(self, kind: Kind, content: bytes) -> Accounting:
        """Every line of a visitor log ends in one place, and nothing but closed values comes out.

        Returns:
            What became of these lines.
        """
        source = LogSource(paths=(LABEL,), **kind.source)
        before = requests.accounting_of(self._stage.verdicts)
        reader = None
        for lines in blocks_of(content, source):
            try:
                reader = reader or open_format(source, self._site.zone, lines)
            except DemographicsError as failure:
                require_discreet(failure)
                return Accounting(lines.num_rows, 0, {}, {"refused": lines.num_rows})
            numbers: list[int] = []
            for part, fields in reader.parts(lines):
                numbers += part.column("number").to_pylist()
                self._generalised(part, fields)
            require(sorted(numbers) == lines.column("number").to_pylist(), "every line must be in one part")
        after = requests.accounting_of(self._stage.verdicts)
        require(after.read - before.read == lines_in(content), "every line must be counted")
        return _between(before, after)

    def errors(self, content: bytes) -> int:
        """Every line of an error log is counted, and what is kept of it is codes."""
        source = ErrorLogSource(paths=(LABEL,))
        before = errors.accounting_of(self._errors.verdicts, 0).read
        for lines in blocks_of(content, source):
            self._errors.generalise(lines, self._site.zone, 0, self._stage)
        require(
            errors.accounting_of(self._errors.verdicts, 0).read - before == lines_in(content),
            "every error line must be counted",
        )
        require(not any(pa.types.is_string(column.type) for column in self._errors.table().columns), "codes only")
        return lines_in(content)

    def _generalised(self, part: pa.Table, fields: str) -> None:
        before = requests.accounting_of(self._stage.verdicts)
        draft = self._stage.generalise(part, fields, 0)
        after = requests.accounting_of(self._stage.verdicts)
        require(after.read - before.read == part.num_rows, "as many rows must come back as lines went in")
        require(after.used - before.used == draft.num_rows, "a used line must be a row of the draft")
        require_generalised(draft, self._keys)


def require_generalised(draft: pa.Table, keys: dict[str, set[str | None] | None]) -> None:
    """Nothing in a draft but pseudonyms, numbers and values of closed lists, or registered domains."""
    named = [name for name in draft.column_names if not name.startswith("_")]
    require(set(named) == {"person", *keys}, "the draft must have the declared columns")
    for name in draft.column_names:
        column = draft.column(name)
        if name.startswith("_"):
            require(pa.types.is_integer(column.type) or pa.types.is_boolean(column.type), f"{name} must be a number")
            continue
        values = set(column.unique().to_pylist())
        if name == "person":
            require(all(_PERSON.fullmatch(value) for value in values), "person must be a pseudonym")
        elif (closed := keys[name]) is not None:
            require(values <= closed, f"{name} must be of its closed list")
        else:
            known = {"none", "other", "unknown"}
            require(all(value in known or _DOMAIN.fullmatch(value) for value in values), f"{name} must be a domain")
            continue  # whatever is spliced into a registered domain makes another
        require(not any(word in f"{values}" for word in PLANTED), f"{name} must hold nothing that was planted")


def require_discreet(failure: DemographicsError) -> None:
    """An error of the product quotes nothing that it read."""
    told = f"{failure} {failure.__context__ if not failure.__suppress_context__ else ''}"
    require(not any(word in told for word in PLANTED), "an error must hold nothing that was planted")
    require(all(sign.isprintable() for sign in told), "an error must hold no control characters")


def require(holds: bool, rule: str) -> None:
    """Fail with a rule that does not hold."""
    if not holds:
        raise AssertionError(rule)


def file_of(content: bytes, source: LogSource | ErrorLogSource, label: str = LABEL) -> LogFile:
    """A log file in memory."""
    return LogFile(label, source, len(content), label, lambda span: io.BufferedReader(io.BytesIO(content), span))


def blocks_of(content: bytes, source: LogSource | ErrorLogSource) -> list[pa.Table]:
    """The lines of a log file in memory; of one with a line there is one block at least."""
    return [block.lines for block in read_blocks(file_of(content, source), lambda _piece: None)]


def lines_in(content: bytes) -> int:
    """How many lines a file has, blank ones at its end left out."""
    text = content.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    return text.count(b"\n") + bool(text)


def smallest(fails: Callable[[bytes], bool], lines: Sequence[bytes], patience: float = 20) -> bytes:
    """Few lines that still fail, found within some seconds by leaving out ever smaller parts."""
    kept, size, end = list(lines), max(len(lines) // 2, 1), time.monotonic() + patience
    while size:
        start = 0
        while start < len(kept) and time.monotonic() < end:
            fewer = kept[:start] + kept[start + size :]
            if fewer and fails(b"\n".join(fewer) + b"\n"):
                kept = fewer
            else:
                start += size
        size //= 2
    return b"\n".join(kept) + b"\n"


def _between(before: Accounting, after: Accounting) -> Accounting:
    left_out, rejected = (
        dict(Counter(later) - Counter(earlier))
        for earlier, later in ((before.left_out, after.left_out), (before.rejected, after.rejected))
    )
    return Accounting(after.read - before.read, after.used - before.used, left_out, rejected)
