"""The editions that the catalogue gave, read: for pages and for programs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pandas as pd

from pipeline.delivery.catalogue import Held, unknown
from pipeline.errors import VerificationError
from pipeline.publication.derived.files import DERIVED
from pipeline.publication.reading import ReadBundle, read_bundle
from pipeline.publication.shelf import TOMBSTONE_NAME
from pipeline.publication.trends import MOST_PERIODS, trend_rows

_KEPT: Final = 64  # bundles in memory; a bundle never changes
_COURSES: Final = 256  # of trends, which are small
_Place = tuple[Path, str]  # of a bundle, and the digest of its manifest


def bundle_of(held: Held) -> ReadBundle:
    """The tables of an edition. They are shared: nobody may change them.

    Args:
        held: As the catalogue gave it just now; that it was read before does not open it.

    Raises:
        UnknownEditionError: It was taken away just now.
    """
    return _bundle(_place(held))


def derived_of(held: Held) -> pd.DataFrame:
    """Shares and indices of an edition; no rows where it was published without them.

    Raises:
        UnknownEditionError: It was taken away just now.
    """
    if not any(entry.path == f"{DERIVED}.parquet" for entry in bundle_of(held).manifest.files):
        return pd.DataFrame({"table": pd.Series(dtype="string")})
    try:
        return _derived(held.folder, held.edition.manifest_sha256)
    except FileNotFoundError:
        raise unknown() from None


def course_of(standing: tuple[Held, ...], table: str) -> pd.DataFrame:
    """The rows of a table's trend; worked out once, as reading all periods takes long.

    Args:
        standing: Of each period the newest revision of one product, the newest period last and at least one.
        table: That the newest one has.

    Raises:
        UnknownEditionError: One was taken away just now.
    """
    return _course(tuple(map(_place, standing[-MOST_PERIODS:])), table)


def finder(standing: tuple[Held, ...]) -> Callable[[str], ReadBundle | None]:
    """Finds the edition of a period, by its label, among those that stand."""
    by_period = {held.edition.period: held for held in standing}
    return lambda label: bundle_of(by_period[label]) if label in by_period else None


def _place(held: Held) -> _Place:
    return held.folder, held.edition.manifest_sha256


def _bundle(place: _Place) -> ReadBundle:
    if (place[0] / TOMBSTONE_NAME).exists():
        raise unknown()
    try:
        return _read(*place)
    except (FileNotFoundError, VerificationError):
        raise unknown() from None


@functools.lru_cache(maxsize=_COURSES)
def _course(places: tuple[_Place, ...], table: str) -> pd.DataFrame:
    bundles = [_bundle(place) for place in places]
    facts = next(one for one in bundles[-1].manifest.tables if one.name == table)
    return trend_rows(bundles, facts)


@functools.lru_cache(maxsize=_KEPT)
def _read(folder: Path, _sha256: str) -> ReadBundle:
    return read_bundle(folder)


@functools.lru_cache(maxsize=_KEPT)
def _derived(folder: Path, _sha256: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{DERIVED}.parquet")
