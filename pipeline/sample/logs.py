"""The sample's access logs: the combined format of Apache and nginx, rotated every midnight as logrotate does it."""

from __future__ import annotations

import datetime as dt
import gzip
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.progress import Progress
from pipeline.sample.clients import Clients
from pipeline.sample.columns import Index, join, texts
from pipeline.sample.requests import Requests
from pipeline.sample.traffic import DAY, DAYS, PROTOCOLS, START, STATUSES, Damage, Traffic

_CHUNK = 200_000  # lines that are made at once
_LEVEL = 1  # of gzip: the sample must be quick to make, not small
_CUTS = {Damage.CUT_EARLY: 18, Damage.CUT_IN_REQUEST: 55, Damage.CUT_LATE: 110}  # bytes that are left


class LogWriter:
    """Turns columns of numbers into lines, and lines into files."""

    def __init__(self, clients: Clients, requests: Requests, rng: np.random.Generator) -> None:
        self._clients = clients
        self._requests = requests
        self._logins = pa.concat_arrays([texts(["-"]), join(clients.name, b"@example.org")])
        self._clock = texts(f'{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} +0000] "' for s in range(DAY))
        self._answers = texts(f'{protocol}" {status} ' for protocol in PROTOCOLS for status in STATUSES)
        self._garbage = pa.array([_garbage(rng) for _ in range(16)], pa.binary())

    def write(self, traffic: Traffic, folder: Path, progress: Progress) -> int:
        """Write ``access.log``, ``access.log.1``, ``access.log.2.gz``, ..., one file a day.

        Args:
            traffic: Ordered by time.
            folder: Exists and is empty.
            progress: Told about each day, in lines.

        Returns:
            How many files there are.

        Raises:
            OSError: A file cannot be written.
        """
        ends = np.searchsorted(traffic.second, np.arange(DAYS + 1) * DAY)
        with ThreadPoolExecutor(1) as pool:
            pending: Future[None] | None = None
            for day in range(DAYS):
                content = self._day(traffic, day, int(ends[day]), int(ends[day + 1]))
                if pending is not None:
                    pending.result()  # so that no more than two days are held in memory
                pending = pool.submit(_write_file, folder / _file_name(DAYS - 1 - day), content)
                progress("writing access logs", int(ends[day + 1]), int(ends[-1]))
            assert pending is not None
            pending.result()
        return DAYS

    def _day(self, traffic: Traffic, day: int, first: int, end: int) -> list[pa.Buffer]:
        date = f" [{START + dt.timedelta(days=day):%d/%b/%Y}:".encode()
        starts = range(first, end, _CHUNK)
        return [_content(self._lines(traffic.rows(slice(row, min(row + _CHUNK, end))), date)) for row in starts]

    def _lines(self, traffic: Traffic, date: bytes) -> pa.Array:
        clients = self._clients
        lines = join(
            _take(clients.head, traffic.client),
            _take(self._logins, np.where(traffic.signed_in, traffic.client + 1, 0)),
            date,
            _take(self._clock, traffic.second % DAY),
            _take(self._requests.text, traffic.request),
            _take(self._answers, traffic.answer),
            _sizes(traffic),
            b' "',
            _take(self._requests.referrer, traffic.referrer),
            b'" "',
            _take(clients.tail, traffic.client),
        )
        return self._damaged(lines, traffic)

    def _damaged(self, lines: pa.Array, traffic: Traffic) -> pa.Array:
        for kind, kept in _CUTS.items():
            cut = traffic.damage == kind
            short = pc.binary_slice(lines.filter(pa.array(cut)), 0, kept)
            lines = pc.replace_with_mask(lines, pa.array(cut), join(short, b"\n"))
        garbled = traffic.damage == Damage.GARBAGE
        rubbish = _take(self._garbage, traffic.request[garbled] % len(self._garbage))
        return pc.replace_with_mask(lines, pa.array(garbled), rubbish)


def _take(dictionary: pa.Array, index: Index) -> pa.Array:
    return dictionary.take(pa.array(index))


def _sizes(traffic: Traffic) -> pa.Array:
    """As digits; Apache writes a dash where nothing was sent."""
    nothing = traffic.answer % len(STATUSES) == STATUSES.index(304)
    return pc.if_else(pa.array(nothing), b"-", pa.array(traffic.size).cast(pa.string()).cast(pa.binary()))


def _garbage(rng: np.random.Generator) -> bytes:
    """Bytes that are no UTF-8, on one line: what a crash or a broken disk leaves in a log."""
    noise = rng.bytes(int(rng.integers(30, 160))).translate(None, b"\r\n")
    return b"\xff\xfe" + noise + b"\n"


def _content(lines: pa.Array) -> pa.Buffer:
    """The text of the lines, which lie in the array one after the other: nothing is copied."""
    _, offsets, content = lines.buffers()
    ends = np.frombuffer(offsets, np.int32)
    first, end = int(ends[lines.offset]), int(ends[lines.offset + len(lines)])
    return content.slice(first, end - first)


def _file_name(age: int) -> str:
    """As logrotate with ``delaycompress`` names a log of so many days ago."""
    return ("access.log", "access.log.1")[age] if age < 2 else f"access.log.{age}.gz"


def _write_file(path: Path, content: list[pa.Buffer]) -> None:
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.writelines(content)
            return
        # Neither name nor time goes into the header, so that the same seed gives the same bytes.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
            packed.writelines(content)
