"""Reads a bundle as whoever receives it can: with libraries of everybody's, and none of the code that wrote it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import minisign
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MANIFEST, SIGNATURE, SUMS, DESCRIPTION = "manifest.json", "manifest.json.minisig", "SHA256SUMS", "datapackage.json"
PARQUET, CSV = "parquet", "csv"
NUMBERS: Final = ("value", "value_lo", "value_hi", "estimate", "noise_sd", "revision")
_FORMULA: Final = re.compile(r"[=+\-@\t\r]")  # OWASP, CSV injection: what a spreadsheet takes for a formula begins so
_ESCAPED: Final = re.compile(r"^'(?=[=+\-@\t\r])")
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


@dataclass(frozen=True)
class ReceivedFile:
    """One entry of the folder.

    Attributes:
        kind: What its name ends in, its name where it has no such ending, or ``no file``.
        bytes: Size; None where it is no file.
        sha256: Digest; None likewise.
    """

    kind: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class ReceivedTable:
    """One table in one format.

    Attributes:
        columns: Their names, as they stand there.
        rows: Those columns that tables of its dimensions have: ``place``, ``group``, then the others.
        texts: Every different text in any column, and the names of the columns.
        formulas: How many cells of text a spreadsheet would run.
    """

    columns: tuple[str, ...]
    rows: pd.DataFrame
    texts: frozenset[str]
    formulas: int


@dataclass(frozen=True)
class Received:
    """What a folder holds, as far as it can be read; what cannot is empty.

    Attributes:
        folder: The bundle.
        files: By name.
        manifest: As it stands there.
        description: ``datapackage.json`` as it stands there.
        sums: Of ``SHA256SUMS``: name -> digest.
    """

    folder: Path
    files: Mapping[str, ReceivedFile]
    manifest: Mapping[str, Any]
    description: Mapping[str, Any]
    sums: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> Received:
        """Read everything but the tables."""
        lines = (line.split("  ", 1) for line in _text(folder / SUMS).splitlines())
        sums = {parts[-1]: parts[0] for parts in lines}
        files = {path.name: _file(path) for path in sorted(folder.iterdir())}
        return cls(folder, files, _document(folder / MANIFEST), _document(folder / DESCRIPTION), sums)

    def table(self, name: str, ending: str, dimensions: Sequence[str], others: Sequence[str]) -> ReceivedTable:
        """One table; with no columns and rows where it cannot be read.

        Args:
            name: Of the table.
            ending: ``parquet`` or ``csv``.
            dimensions: Its dimensions in drilling order.
            others: Names of its other columns.
        """
        path = self.folder / f"{name}.{ending}"
        try:
            frame = pq.read_table(path).to_pandas() if ending == PARQUET else _read_csv(path)
        except _UNREADABLE:
            return ReceivedTable((), rows_of(pd.DataFrame(), (), ()), frozenset(), 0)
        texts = [column.astype(str) for label, column in frame.items() if label not in NUMBERS]
        formulas = sum(int(column.str.match(_FORMULA).sum()) for column in texts) if ending == CSV else 0
        names = tuple(map(str, frame.columns))
        distinct = {str(text) for column in texts for text in column.unique()}
        return ReceivedTable(names, rows_of(frame, dimensions, others), frozenset({*names, *distinct}), formulas)

    def signed_by(self, public_key: bytes) -> bool:
        """Whether the manifest bears a signature by a key, which is given as the file ``minisign.pub`` holds it."""
        try:
            signature = minisign.Signature.from_bytes((self.folder / SIGNATURE).read_bytes())
            minisign.PublicKey.from_bytes(public_key).verify((self.folder / MANIFEST).read_bytes(), signature)
        except (minisign.Error, OSError):
            return False
        return True


def rows_of(frame: pd.DataFrame, dimensions: Sequence[str], others: Iterable[str]) -> pd.DataFrame:
    """Rows in a form in which tables of all dimensions and formats can be compared.

    Returns:
        One row a row: ``place`` (its number), ``group`` (``country=DE`` and so on), then the other columns: numbers as
        float64, anything else as text, without the apostrophe that keeps a spreadsheet from running it. No rows at all
        where a column is missing or holds something else.
    """
    try:
        group = sum((f"{name}=" + frame[name].map(_as_text) + "\x1f" for name in dimensions), _nothing(frame))
        columns = {name: _numbers(frame[name]) if name in NUMBERS else frame[name].map(_as_text) for name in others}
    except _UNREADABLE:
        return rows_of(pd.DataFrame(columns=[*dimensions, *others]), dimensions, others)
    texts = {name: column.astype("string") for name, column in columns.items() if name not in NUMBERS}
    place = pd.Series(range(len(frame)), index=frame.index, dtype="int64")
    return pd.DataFrame({"place": place, "group": group.astype("string"), **columns, **texts}).reset_index(drop=True)


def _nothing(frame: pd.DataFrame) -> pd.Series[str]:
    return pd.Series("", index=frame.index, dtype=object)


def _as_text(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool | np.bool_) else _ESCAPED.sub("", str(cell))


def _numbers(cells: pd.Series[Any]) -> pd.Series[float]:
    if pd.api.types.is_string_dtype(cells) and len(cells):
        raise ValueError("no numbers")
    return cells.astype("Float64").astype("float64")


def _read_csv(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    return frame.assign(
        **{name: pd.to_numeric(frame[name].mask(frame[name].eq(""))) for name in NUMBERS if name in frame}
    )


def _file(path: Path) -> ReceivedFile:
    if path.is_symlink() or not path.is_file():
        return ReceivedFile("no file", None, None)
    content = path.read_bytes()
    return ReceivedFile(path.suffix or path.name, len(content), hashlib.sha256(content).hexdigest())


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except _UNREADABLE:
        return ""


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(_text(path))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
