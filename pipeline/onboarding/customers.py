"""A look at a source of customers that nobody has described yet: a database or a delimited file."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from pathlib import Path
from typing import Final, Literal

import sqlalchemy as sa

from pipeline.errors import ConfigurationError, SourceError
from pipeline.onboarding import wording
from pipeline.onboarding.decisions import CustomerPlan, plan_customers, readable_columns
from pipeline.onboarding.profiles import load_rows, profile
from pipeline.periods import Period
from pipeline.progress import Progress
from pipeline.site import CsvSource, DatabaseSource
from pipeline.sources.databases import describe, open_database
from pipeline.sources.delimited import read_head
from pipeline.sources.engine import memory_engine
from pipeline.sources.payment import PaymentWatch, refuse_payment_names
from pipeline.sources.tables import Table, open_table

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_LINES: Final = 200
_SQLITE_ENDINGS: Final = frozenset({".sqlite", ".sqlite3", ".db", ".db3"})


def find_source(named: str) -> DatabaseSource | CsvSource:
    """What a path or an SQLAlchemy address names, with absolute paths.

    Raises:
        SourceError: It is missing, unreadable or empty.
        ConfigurationError: No table of the database looks like customers.
    """
    if "://" in named:
        return _database(named)
    path = Path(named).expanduser().resolve()
    if path.suffix.lower() in _SQLITE_ENDINGS or _is_sqlite(path):
        return _database(f"sqlite:///{path}")
    encoding, delimiter = _encoding(path), _delimiter(path)
    return CsvSource(kind="csv", path=str(path), delimiter=delimiter, encoding=encoding)


def look_at_customers(source: DatabaseSource | CsvSource, month: Period, progress: Progress) -> CustomerPlan:
    """Read the columns whose names say nothing against it, in memory, and decide about all.

    Raises:
        SourceError: The source is unreadable, has no rows or no header, or carries payment-instrument data.
        ConfigurationError: Nothing can be counted, or nothing tells customers apart.
    """
    table = open_table(source, Path("/"))
    refuse_payment_names(table.columns, "customers")
    _require_header(table)
    names = readable_columns(table.columns)
    watch = PaymentWatch(names, "customers")
    with memory_engine("customers") as connection:
        rows = 0
        for rows in load_rows(connection, table.batches(names)):
            progress("looking at customers", rows, None)
        if not rows:
            raise SourceError("a customer source must have rows", value="none", remedy="Export it again.")
        watch.look(connection, "rows")
        watch.refuse()
        profiles = {name: profile(connection, f"c{place}") for place, name in enumerate(names)}
    return plan_customers(table.columns, profiles, month)


def _database(address: str) -> DatabaseSource:
    engine = open_database(address, Path.cwd())
    try:
        inspector = sa.inspect(engine)
        names = (*inspector.get_table_names(), *inspector.get_view_names())
    except sa.exc.SQLAlchemyError as failure:
        raise SourceError(
            f"{describe(engine)} must be reachable and readable",
            value=type(failure).__name__,
            remedy="Check the address and the permissions.",
        ) from None
    if engine.dialect.name == "sqlite":
        address = f"sqlite:///{Path(engine.url.database or '').resolve()}"
    sources = [DatabaseSource(kind="database", url=address, table=name) for name in sorted(names)]
    ranked = [(wording.table_rank(source.table, open_table(source, Path.cwd()).columns), source) for source in sources]
    rank, best = max(ranked, key=lambda pair: pair[0], default=(0, None))
    if best is None or not rank:
        raise ConfigurationError(
            "a table of the database must look like customers",
            value=f"none of {len(names)} tables in {describe(engine)}",
            remedy="Make a view named 'customers', or write the site file by hand.",
        )
    return best


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def _encoding(path: Path) -> Literal["utf-8", "latin-1"]:
    read_head(path)
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _delimiter(path: Path) -> str:
    """The delimiter under which most of the first lines have as many fields as the header, and more than one."""
    head = read_head(path).decode("utf-8", errors="replace")
    scores = {delimiter: _agreement(head, delimiter) for delimiter in _DELIMITERS}
    return max(scores, key=lambda delimiter: scores[delimiter])


def _agreement(head: str, delimiter: str) -> tuple[float, int]:
    """Share of lines with as many fields as the header, and how many fields these are; nothing if only one."""
    widths = []
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    try:
        for record in reader:
            widths.append(len(record))
            if len(widths) >= _SAMPLE_LINES:
                break
    except csv.Error:
        return (0.0, 0)
    if not widths or widths[0] < 2:
        return (0.0, 0)
    return (Counter(widths)[widths[0]] / len(widths), widths[0])


def _require_header(table: Table) -> None:
    """Refuse a first line that is a record: its columns would be named by somebody's values."""
    names = [name for name in table.columns if name]
    odd = [name for name in names if "@" in name or not any(map(str.isalpha, name)) or sum(map(str.isdigit, name)) > 4]
    if odd or len(set(names)) < len(table.columns) / 2:
        raise SourceError(
            "a customer source must name its columns in a header line",
            value=f"{len(odd)} of {len(table.columns)} names that look like values",
            remedy="Add a header line, and check the delimiter.",
        )
