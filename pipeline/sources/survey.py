"""What visitor logs look like as a whole, before anybody has described them: for a first site file, and for errors."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from pipeline.progress import Progress, silent
from pipeline.site import LogSource
from pipeline.site.visitors import LogFormatName, TrailingField
from pipeline.sources.domains import host_of, registered_domain
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import LogFormat, open_format
from pipeline.sources.logs import DistinctLog, Intake, LogFile

# Formats that may have fields after the user agent: by the name that ``LogFormat`` has, what a site file calls them.
TRAILED: Final[Mapping[str, LogFormatName]] = {
    "combined": "combined",
    "combined with virtual host": "combined_with_host",
}
MOST_PAIRS: Final = 2_000_000  # of (segment, visitor) and (origin, visitor); later ones are not counted
MOST_PEERS: Final = 1_000  # addresses that requests came from; more are not told apart from so many
_MOST_SHOWN: Final = 50
_FIRST_LINES: Final = 50_000  # of each file, in which trailing fields are looked for
_LEAST_SENDERS: Final = 10  # different values; a field of fewer addresses may be the server's own
_QUARTER: Final = 900  # offsets of time zones are whole quarters of an hour
_LANGUAGE: Final = r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*(?:\s*;\s*q=[01](?:\.[0-9]{0,3})?)?"
# A lone 'en' may be anything; a region, a second language or a quality makes it Accept-Language.
_LANGUAGES: Final = rf"{_LANGUAGE}(?:\s*,\s*(?:{_LANGUAGE}|\*(?:\s*;\s*q=[01](?:\.[0-9]*)?)?))*"
_ADDRESS: Final = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*|unknown)"
_ADDRESSES: Final = rf"{_ADDRESS}(?:\s*,\s*{_ADDRESS})*"
_WORD: Final = re.compile(r"[A-Za-z]+(?:-?[A-Za-z]+)*-?\d{0,4}")
_MOST_BITS: Final = 3.8  # per character, by the segment's own letters; random tokens of 20 letters have about 4
_SEGMENT: Final = "^/([A-Za-z0-9-]{1,40})(?:/|$)"
# Addresses that are nobody's on the internet (RFC 1918, 3927, 4193, 4291 and 6598), also IPv4 inside IPv6.
_PRIVATE: Final = (
    r"^(?:::ffff:)?(?:10|127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.\d"
    "|^::1$|^f[cd][0-9a-fA-F]{2}:|^fe80:"
)


@dataclass(frozen=True)
class TrailingFields:
    """Quoted fields that are logged after the user agent of a combined format, as the first lines of files show them.

    Attributes:
        numbers: Lines by their number of such fields.
        filled: Lines where a field is not empty, by its place (from 0).
        languages: Lines where it looks like Accept-Language, by place.
        addresses: Lines where it looks like X-Forwarded-For, by place.
    """

    numbers: Counter[int] = field(default_factory=Counter)
    filled: Counter[int] = field(default_factory=Counter)
    languages: Counter[int] = field(default_factory=Counter)
    addresses: Counter[int] = field(default_factory=Counter)

    def __add__(self, other: TrailingFields) -> TrailingFields:
        """Of two files."""
        return TrailingFields(
            self.numbers + other.numbers,
            self.filled + other.filled,
            self.languages + other.languages,
            self.addresses + other.addresses,
        )

    @property
    def count(self) -> int:
        """The most common number of fields."""
        return max(self.numbers, key=lambda number: self.numbers[number], default=0)

    @property
    def declared(self) -> tuple[TrailingField, ...]:
        """What a site file would say of them, up to the last that is told; the first, if several look alike."""
        places: dict[int, TrailingField] = {}
        if (forwarded := self._first(self.addresses)) is not None:
            places[forwarded] = "forwarded"
        if (language := self._first(self.languages)) is not None:
            places[language] = "accept_language"
        return tuple(places.get(place, "-") for place in range(max(places, default=-1) + 1))

    def _first(self, likely: Counter[int]) -> int | None:
        return next((place for place, filled in sorted(self.filled.items()) if 2 * likely[place] > filled), None)


@dataclass(frozen=True)
class FileSurvey:
    """What a look at one file shows.

    Attributes:
        file: The file.
        format: How its lines are written, as ``LogFormat.name`` has it.
        lines: Lines read, but for those that are no requests by the format's own rules.
        matched: Of these, lines of the format with a readable time.
        trailing: Quoted fields after the user agent; of the combined formats only.
    """

    file: LogFile
    format: str
    lines: int
    matched: int
    trailing: TrailingFields

    @property
    def is_known(self) -> bool:
        """Whether most of its lines can be read."""
        return 2 * self.matched > self.lines


@dataclass(frozen=True)
class LogSurvey:
    """What a look at logs shows; held in memory only, and what is public about a site is for its owner to say.

    Attributes:
        files: Those that were read, one of each content.
        days: Lines a day, in the zone that was asked for, in order.
        agents: Lines that name a user agent.
        referrers: Lines that name a referring page.
        languages: Lines with an Accept-Language field.
        forwarded: Lines with an X-Forwarded-For field.
        private: Lines whose address is of a private network.
        peers: Different addresses that requests came from, ``MOST_PEERS`` at most.
        segments: First segments of paths that were answered and look like words, with the number of visitors'
            addresses that asked for them, most first. A word may still be a person's name: few addresses ask for that.
        referrer_domains: Registered domains of referrers, with the number of visitors' addresses that came from there,
            most first.
    """

    files: tuple[FileSurvey, ...]
    days: Mapping[dt.date, int]
    agents: int
    referrers: int
    languages: int
    forwarded: int
    private: int
    peers: int
    segments: Mapping[str, int]
    referrer_domains: Mapping[str, int]

    @property
    def lines(self) -> int:
        """Lines read, but for those that are no requests by their format's own rules."""
        return sum(file.lines for file in self.files)

    @property
    def matched(self) -> int:
        """Lines of a known format with a readable time."""
        return sum(file.matched for file in self.files)

    @property
    def first_day(self) -> dt.date | None:
        """Day of the earliest line; None where no line matches."""
        return min(self.days, default=None)

    @property
    def last_day(self) -> dt.date | None:
        """Day of the latest line."""
        return max(self.days, default=None)

    @property
    def formats(self) -> Mapping[str, int]:
        """Number of files by format, the most common first; files most of whose lines cannot be read are left out."""
        return dict(Counter(file.format for file in self.files if file.is_known).most_common())


def survey_logs(files: Sequence[LogFile], zone: ZoneInfo, progress: Progress = silent) -> LogSurvey:
    """Look at logs of any format, each content once.

    Raises:
        SourceError: A file is unreadable or damaged, or all are empty.
    """
    with memory_engine("visitor logs") as engine:
        engine.execute("CREATE TEMP TABLE segments (value VARCHAR, visitor UBIGINT)")
        engine.execute("CREATE TEMP TABLE origins (value VARCHAR, visitor UBIGINT)")
        look = _Look(engine, zone)
        with closing(iter(Intake(files, progress=progress))) as logs:
            found = tuple([look.at_file(log) for log in logs])
        return look.survey(found)


_FILLED: Final = """
    SELECT count(*) FILTER (has_agent) AS agents, count(*) FILTER (origin NOT IN ('', '-')) AS referrers,
        count(*) FILTER (has_language) AS languages, count(*) FILTER (has_forwarded) AS forwarded,
        count(*) FILTER (is_private) AS private
    FROM looked"""
_QUARTERS: Final = f"SELECT floor(epoch(moment) / {_QUARTER})::BIGINT AS place, count(*) FROM looked GROUP BY place"
_PEERS: Final = f"SELECT DISTINCT hash(address) FROM looked LIMIT {MOST_PEERS}"


def _looked_sql(fields: str) -> str:
    """One row a request. Behind one's own proxy a visitor is who it says, or few would seem to ask for anything."""
    return f"""
        CREATE OR REPLACE TEMP TABLE looked AS
        SELECT address, moment, status, origin, regexp_extract(path, '{_SEGMENT}', 1) AS segment,
            agent NOT IN ('', '-') AS has_agent, accept_language NOT IN ('', '-') AS has_language,
            coalesce(forwarded NOT IN ('', '-'), false) AS has_forwarded,
            regexp_matches(address, '{_PRIVATE}') AS is_private,
            CASE WHEN is_private AND has_forwarded THEN trim(split_part(forwarded, ',', -1)) ELSE address END AS sender,
            hash(sender) AS visitor
        FROM ({fields}) WHERE directive IS NOT TRUE"""


class _Look:
    """A look over all files, block by block."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, zone: ZoneInfo) -> None:
        self._engine, self._zone = engine, zone
        self._quarters: Counter[int] = Counter()  # quarter of an hour since 1970 -> lines
        self._filled: Counter[str] = Counter()  # column of _FILLED -> lines
        self._peers: set[int] = set()  # hashes

    def at_file(self, log: DistinctLog) -> FileSurvey:
        """Look at a file whole."""
        assert isinstance(log.file.source, LogSource)
        source, trailing, reader = log.file.source, TrailingFields(), None
        lines = matched = 0
        for block in log.blocks:
            if reader is None:
                reader = open_format(source, self._zone, block)
                if reader.name in TRAILED and not source.trailing_fields:
                    trailing = _trailing_fields(self._engine, block)
                    reader = self._with_trailing(source, reader, trailing, block)
            for part, fields in reader.parts(block):
                counted = self._at_part(part, fields)
                lines, matched = lines + counted[0], matched + counted[1]
        return FileSurvey(log.file, reader.name if reader else "", lines, matched, trailing)

    def _with_trailing(
        self, source: LogSource, reader: LogFormat, trailing: TrailingFields, block: pa.Table
    ) -> LogFormat:
        if not trailing.declared:
            return reader
        told = {"format": TRAILED[reader.name], "trailing_fields": trailing.declared}
        return open_format(source.model_copy(update=told), self._zone, block)

    def survey(self, files: tuple[FileSurvey, ...]) -> LogSurvey:
        """What all files together show."""
        days: Counter[dt.date] = Counter()
        for quarter, count in sorted(self._quarters.items()):
            days[dt.datetime.fromtimestamp(quarter * _QUARTER, self._zone).date()] += count
        return LogSurvey(
            files=files,
            days=dict(days),
            peers=min(len(self._peers), MOST_PEERS),
            segments=_segments(self._engine),
            referrer_domains=_referrer_domains(self._engine),
            agents=self._filled["agents"],
            referrers=self._filled["referrers"],
            languages=self._filled["languages"],
            forwarded=self._filled["forwarded"],
            private=self._filled["private"],
        )

    def _at_part(self, lines: pa.Table, fields: str) -> tuple[int, int]:
        """Count a part's lines: those that are requests, and of these those that match."""
        engine = self._engine
        engine.register("lines", lines)
        engine.execute(_looked_sql(fields))
        engine.unregister("lines")
        requests = engine.execute("SELECT count(*) FROM looked").fetchall()[0][0]
        engine.execute("DELETE FROM looked WHERE address = '' OR moment IS NULL")
        quarters = dict(engine.execute(_QUARTERS).fetchall())
        self._quarters.update(quarters)
        filled = engine.sql(_FILLED)
        self._filled.update(dict(zip(filled.columns, filled.fetchall()[0], strict=True)))
        if len(self._peers) < MOST_PEERS:
            self._peers.update(peer for (peer,) in engine.execute(_PEERS).fetchall())
        _remember(engine, "segments", "segment", "status BETWEEN '200' AND '399'")
        _remember(engine, "origins", "origin", "origin <> '-'")
        return requests, sum(quarters.values())


def _remember(engine: duckdb.DuckDBPyConnection, table: str, column: str, condition: str) -> None:
    """Add the block's pairs of a value and a visitor's address (hashed, for its size) that are new."""
    if engine.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] < MOST_PAIRS:
        engine.execute(
            f"INSERT INTO {table} SELECT DISTINCT {column} AS value, looked.visitor AS visitor FROM looked "
            f"ANTI JOIN {table} ON value = {column} AND {table}.visitor = looked.visitor "
            f"WHERE {column} <> '' AND {condition}"
        )


_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_AFTER_AGENT: Final = rf'^[^"]*"{_QUOTED}" [^ "]+ [^ "]+ "{_QUOTED}" "{_QUOTED}"(.*)'
# One row a line of a combined format: its quoted fields after the agent.
_TAILS: Final = f"""
    CREATE OR REPLACE TEMP TABLE looked AS
    SELECT regexp_extract_all(regexp_extract(line, '{_AFTER_AGENT}', 1), ' "({_QUOTED})"', 1) AS tail
    FROM lines WHERE regexp_matches(line, '{_AFTER_AGENT}')"""
# place: of a trailing field -> lines where it is filled, looks like languages, looks like addresses; different values
_TAIL: Final = f"""
    SELECT place, count(*),
        count(*) FILTER (regexp_full_match(value, '{_LANGUAGES}') AND regexp_matches(value, '[-,;]')),
        count(*) FILTER (regexp_full_match(value, '{_ADDRESSES}')), count(DISTINCT value)
    FROM (SELECT unnest(tail) AS value, generate_subscripts(tail, 1) - 1 AS place FROM looked)
    WHERE value NOT IN ('', '-') GROUP BY place"""


def _trailing_fields(engine: duckdb.DuckDBPyConnection, lines: pa.Table) -> TrailingFields:
    engine.register("lines", lines.slice(0, _FIRST_LINES))
    engine.execute(_TAILS)
    engine.unregister("lines")
    found = TrailingFields()
    found.numbers.update(dict(engine.execute("SELECT len(tail), count(*) FROM looked GROUP BY ALL").fetchall()))
    if any(found.numbers):
        for place, filled, languages, addresses, different in engine.execute(_TAIL).fetchall():
            found.filled[place], found.languages[place] = filled, languages
            found.addresses[place] = addresses if different >= _LEAST_SENDERS else 0
    return found


def _segments(engine: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows = engine.execute("SELECT value, count(*) AS n FROM segments GROUP BY value ORDER BY n DESC, value").fetchall()
    return dict([(segment, count) for segment, count in rows if _is_word(segment)][:_MOST_SHOWN])


def _referrer_domains(engine: duckdb.DuckDBPyConnection) -> dict[str, int]:
    origins = [row[0] for row in engine.execute("SELECT DISTINCT value FROM origins").fetchall()]
    domains = [registered_domain(host_of(origin) or "") if origin.startswith("http") else None for origin in origins]
    engine.register(
        "named", pa.table({"value": pa.array(origins, pa.string()), "domain": pa.array(domains, pa.string())})
    )
    rows = engine.execute(
        "SELECT domain, count(DISTINCT visitor) AS n FROM origins JOIN named USING (value) "
        f"WHERE domain IS NOT NULL GROUP BY domain ORDER BY n DESC, domain LIMIT {_MOST_SHOWN}"
    ).fetchall()
    return dict(rows)


def _is_word(segment: str) -> bool:
    """No identifier, address or token, as far as its letters tell."""
    if not _WORD.fullmatch(segment):
        return False
    length = len(segment)
    bits = -sum(count / length * math.log2(count / length) for count in Counter(segment).values())
    changes = len(re.findall(r"[a-z][A-Z]", segment))
    return bits <= _MOST_BITS and changes <= 2
