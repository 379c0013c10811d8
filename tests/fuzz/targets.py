"""What is fuzzed: each target makes lines of what a fuzzer made up, reads them, and fails where a rule is broken."""

from __future__ import annotations

import bz2
import gzip
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from pydantic import ValidationError

from pipeline.deidentify.addresses import look_up_addresses
from pipeline.deidentify.agents import look_up_agents
from pipeline.deidentify.languages import look_up_languages, look_up_time_zones
from pipeline.deidentify.referrers import look_up_origins
from pipeline.errors import ConfigurationError, SourceError
from pipeline.site import CsvSource, LogSource, RequestField
from pipeline.sources.blocks import read_blocks
from pipeline.sources.delimited import MAX_RECORD_LINES, CsvTable
from pipeline.sources.formats import open_format
from tests.fuzz import corpus
from tests.fuzz.checks import LABEL, LineChecks, blocks_of, file_of, lines_in, require, require_discreet, smallest
from tests.fuzz.corpus import KINDS, Kind
from tests.fuzz.splicing import spliced

LINES: Final = 2_500  # of a block; many cost little more than one
UTC: Final = ZoneInfo("UTC")
PACKINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".gz": lambda content: gzip.compress(content, 1),
    ".bz2": lambda content: bz2.compress(content, 1),
    ".zst": lambda content: bytes(pa.Codec("zstd").compress(content, asbytes=True)),
}
ERROR_KIND: Final = Kind("error log", {}, corpus.ERROR_LINES)
_FIELDS: Final = get_args(RequestField)

# Takes a source of choices and a fuzzer's bytes; returns the number of lines that were read.
Target = Callable[[random.Random, bytes], int]


def line_target(checks: Sequence[LineChecks], kind: Kind, count: int = LINES) -> Target:
    """Lines of one kind, from files to drafts."""

    def fuzz(chance: random.Random, own: bytes) -> int:
        check = chance.choice(checks)
        content = spliced(chance, kind, count, own.split(b"\n"))
        return checked(lambda text: check.requests(kind, text).read, content)

    return fuzz


def error_target(check: LineChecks, count: int = LINES) -> Target:
    """Lines of error logs."""

    def fuzz(chance: random.Random, own: bytes) -> int:
        return checked(check.errors, spliced(chance, ERROR_KIND, count, own.split(b"\n")))

    return fuzz


def checked(check: Callable[[bytes], int], content: bytes) -> int:
    """Check a text; where it fails, say with which lines."""
    try:
        return check(content)
    except Exception as failure:  # noqa: BLE001 - whatever it is
        message = f"{type(failure).__name__}: {failure}"[:2_000]

    def fails(text: bytes) -> bool:
        try:
            check(text)
        except Exception:  # noqa: BLE001 - whatever it is
            return True
        return False

    fewest = smallest(fails, content.split(b"\n")[:-1])
    raise AssertionError(f"{message}\nwith {fewest!r}")


def declaration_target(engine: duckdb.DuckDBPyConnection) -> Target:
    """Strings of log formats, with fields that the site file names: they compile, or are refused in words."""

    def fuzz(chance: random.Random, own: bytes) -> int:
        server, text = chance.choice(corpus.LOG_FORMATS)
        pieces = [*corpus.FORMAT_PIECES, own.decode("utf-8", "replace")]
        for _ in range(chance.randrange(4)):
            start = chance.randrange(len(text) + 1)
            text = text[:start] + chance.choice(pieces) + text[start + chance.choice((0, 0, 3, 10)) :]
        name = chance.choice((server, server, server, "json", "w3c"))
        given: dict[str, Any] = {"format": name}
        if name == server:
            given["log_format"] = text
        if chance.random() < 0.3:
            given["fields"] = {chance.choice(_FIELDS): "".join(chance.choices(pieces, k=2))}
        kind = next(kind for kind in KINDS if kind.source.get("format") == name) if name != server else KINDS[1]
        content = spliced(chance, kind, 50)
        with suppress(ValidationError):
            read_declared(engine, LogSource(paths=(LABEL,), **given), content)
        return lines_in(content)

    return fuzz


def read_declared(engine: duckdb.DuckDBPyConnection, source: LogSource, content: bytes) -> None:
    """Read lines as a declaration says, or be told that it cannot be used."""
    for lines in blocks_of(content, source):
        try:
            reader = open_format(source, UTC, lines)
        except (ConfigurationError, SourceError) as failure:
            require_discreet(failure)
            return
        rows = 0
        for part, fields in reader.parts(lines):
            engine.register("lines", part)
            rows += engine.sql(f"SELECT * FROM ({fields})").to_arrow_table().num_rows
            engine.unregister("lines")
        require(rows == lines.num_rows, f"as many rows must come back as lines went in, of {source.log_format!r}")


def directive_target(check: LineChecks) -> Target:
    """Lines of W3C logs that say what the others hold."""
    kind = next(kind for kind in KINDS if kind.name == "w3c")

    def fuzz(chance: random.Random, own: bytes) -> int:
        pieces = [*corpus.W3C_FIELDS, own.decode("utf-8", "replace").replace("\n", " ")]
        heads = [kind.head[-1]]
        for _ in range(10):
            names = heads[0].split(" ")
            for _ in range(chance.randrange(4)):
                names[chance.randrange(len(names))] = chance.choice(pieces)
            heads.append(" ".join(names))
        lines = [line for head in heads for line in (head, *chance.choices(kind.lines, k=5))]
        content = "\n".join(lines).encode() + b"\n"
        return checked(lambda text: check.requests(kind, text).read, content)

    return fuzz


def packing_target(chance: random.Random, own: bytes) -> int:
    """Packed files that are cut, or of which a bit is wrong: they hold the right lines, or stop."""
    kind = chance.choice(KINDS)
    content = spliced(chance, kind, 200, own.split(b"\n"))
    ending = chance.choice(list(PACKINGS))
    members = [content[: len(content) // 2], content[len(content) // 2 :]] if chance.random() < 0.3 else [content]
    stored = b"".join(map(PACKINGS[ending], members))
    luck = chance.random()
    if luck < 0.4:
        stored = stored[: chance.randrange(len(stored))]
    # Frames of zstd that Arrow writes have no sum by which a wrong bit could be told.
    elif luck < 0.9 and ending != ".zst":
        place = chance.randrange(len(stored))
        stored = stored[:place] + bytes([stored[place] ^ (1 << chance.randrange(8))]) + stored[place + 1 :]
    elif luck < 0.95:
        stored += own
    if (found := unpacked_lines(stored, f"{LABEL}{ending}")) is not None:
        require(
            found == unpacked_lines(content, LABEL), f"{ending} must hold the right lines, or be refused: {stored!r}"
        )
    return lines_in(content)


def unpacked_lines(stored: bytes, label: str) -> list[str] | None:
    """The lines of a file; None where it is refused."""
    source = LogSource(paths=(label,))
    try:
        blocks = [block.lines for block in read_blocks(file_of(stored, source, label), lambda _piece: None)]
    except SourceError as failure:
        require_discreet(failure)
        return None
    return [line for lines in blocks for line in lines.column("line").to_pylist()]


def look_up_target(chance: random.Random, own: bytes) -> int:
    """Values as they were logged: each look-up has one row a value, in order."""
    texts = [piece.decode("utf-8", "replace") for piece in (*corpus.NASTY, *own.split(b"\n"))]
    seeds = (*corpus.ADDRESSES, *corpus.LANGUAGES, *corpus.AGENTS, *corpus.REFERRERS, "Europe/Berlin", "10.0.0.1, ")
    values = list(dict.fromkeys("".join(chance.choices((*texts, *seeds, ",", ";"), k=3)) for _ in range(100)))
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    for table in (
        look_up_addresses(values, trusted=networks, internal=networks, regions=None),
        look_up_agents(values, versions={"Firefox": (100, 130)}, monitors=("OwnMonitor",)),
        look_up_languages(values, named_languages=("de", "en")),
        look_up_origins(values, own_domains=("example.com",), named_domains="any"),
        look_up_origins(values, own_domains=(), named_domains=("google.com",)),
        look_up_time_zones(values),
    ):
        require(table.column(0).to_pylist() == values, "a look-up must have one row a value, in order")
    return len(values)


def csv_target(folder: Path) -> Target:
    """Delimited tables: what is no row of them is counted as rejected."""

    def fuzz(chance: random.Random, own: bytes) -> int:
        delimiter, encoding = chance.choice(",;\t|"), chance.choice(("utf-8", "latin-1"))
        source = CsvSource(kind="csv", path="x.csv", delimiter=delimiter, encoding=encoding)
        content = made_table(chance, delimiter.encode(), own.split(b"\n"))
        return checked(lambda text: csv_lines(source, folder, text), content)

    return fuzz


def made_table(chance: random.Random, delimiter: bytes, own: Sequence[bytes]) -> bytes:
    """A table of three columns, with rows that are none; some tables have quotes in these alone."""
    odd = [b"a", b'"b"', b'"c ""d"""', b'"e\nf"', b"", delimiter, b"\r", "ü".encode(), *own, *corpus.NASTY]
    odd += [b'"', b'g"', b'"h', b'"i"j'] * 8  # quotes that stand where they should not
    if chance.random() < 0.9:  # a null makes it no text, a lone carriage return ends a line
        odd = [piece.translate(None, b"\0\r") for piece in odd]
    usual, share = (odd[:4], 0.7) if chance.random() < 0.7 else ([b"a", b"b c"], 0.995)
    rows = [delimiter.join(chance.choices(usual if chance.random() < share else odd, k=3)) for _ in range(400)]
    return chance.choice((b"\n", b"\r\n")).join(rows) + b"\n"


def csv_lines(source: CsvSource, folder: Path, body: bytes) -> int:
    """Read a table of three columns; its rows and the rejected ones are its lines, but for breaks inside values."""
    header = source.delimiter.join(("one", "two", "three")).encode()
    (folder / source.path).write_bytes(header + b"\n" + body)
    try:
        table = CsvTable.open(source, folder)
        batches = list(table.batches(table.columns))
    except SourceError as failure:
        require_discreet(failure)
        return lines_in(body)
    values = [value for batch in batches for column in batch.columns for value in column.to_pylist()]
    breaks = [value.count("\n") for value in values]
    rejected = table.rejected.total()
    counted = sum(batch.num_rows for batch in batches) + rejected + sum(breaks)
    lines = sum(1 for line in body.split(b"\n") if line.strip(b"\r"))
    require(counted <= body.count(b"\n") + body.count(b"\r") + 1, "no row may come of nothing")
    if b"\r" in body.replace(b"\r\n", b""):
        return lines_in(body)
    require(max(breaks, default=0) < MAX_RECORD_LINES, "a quote that is left open must not take other records with it")
    most = rejected * MAX_RECORD_LINES if b'"' in body else 0
    require(lines - most <= counted <= lines, "every line must be of a row, or rejected")
    return lines_in(body)
