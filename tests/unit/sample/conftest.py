"""A small sample, written once."""

import gzip
from pathlib import Path

import pytest

from pipeline.sample import SampleSummary, write_sample

LINES, VISITORS, CUSTOMERS = 5_000, 400, 600


@pytest.fixture(scope="session")
def summary(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    home = tmp_path_factory.mktemp("sample") / "site"
    return write_sample(home, lines=LINES, visitors=VISITORS, customers=CUSTOMERS)


@pytest.fixture(scope="session")
def home(summary: SampleSummary) -> Path:
    return summary.home


@pytest.fixture(scope="session")
def days(home: Path) -> dict[str, list[bytes]]:
    """Lines of every access log by the name of its file, the oldest first."""
    paths = sorted((home / "sources" / "logs").iterdir(), key=_age, reverse=True)
    return {path.name: _content(path).splitlines(keepends=True) for path in paths}


@pytest.fixture(scope="session")
def lines(days: dict[str, list[bytes]]) -> list[bytes]:
    return [line for day in days.values() for line in day]


def _age(path: Path) -> int:
    number = path.name.removeprefix("access.log").strip(".").removesuffix(".gz")
    return int(number or 0)


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
