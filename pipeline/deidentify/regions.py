"""Regions of declared countries, from a database of network addresses in MaxMind's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import maxminddb

from pipeline.errors import ConfigurationError, SourceError
from pipeline.vocabulary import OTHER, UNKNOWN, region_keys

_IPV6: Final = 6


class RegionLookUp:
    """An open database of regions; used in a ``with`` block, or closed when it is dropped."""

    def __init__(self, reader: maxminddb.Reader, path: Path, countries: Sequence[str]) -> None:
        self._reader, self._path = reader, path
        self._has_ipv6 = reader.metadata().ip_version == _IPV6
        self._countries = frozenset(countries)
        self._regions = frozenset(region_keys(countries))

    @classmethod
    def open(cls, path: Path, countries: Sequence[str]) -> RegionLookUp:
        """Open a database.

        Args:
            path: An ``.mmdb`` file, of cities for example.
            countries: ISO 3166-1 alpha-2 codes of the countries whose regions may be named.

        Raises:
            ConfigurationError: There is no such file, or it may not be read.
            SourceError: It is no such database.
        """
        if not path.is_file():  # a pipe would be waited for
            raise _unreadable(path, "no file")
        try:
            return cls(maxminddb.open_database(path), path, countries)
        except OSError as failure:
            raise _unreadable(path, failure.strerror or type(failure).__name__) from None
        except (maxminddb.InvalidDatabaseError, ValueError):
            raise _damaged(path) from None

    def region(self, address: str | None) -> str:
        """The region of an address in its normal form: an ISO 3166-2 code of a declared country, ``US-CA``.

        ``other`` is a place outside the declared countries, or one that ISO 3166-2 does not have; ``unknown`` is an
        address of which the database tells no country, or, in a declared country, no region.

        Raises:
            SourceError: The database is damaged.
        """
        if address is None or (":" in address and not self._has_ipv6):
            return UNKNOWN
        try:
            record = self._reader.get(address)
        except (maxminddb.InvalidDatabaseError, ValueError):  # which may quote the address
            raise _damaged(self._path) from None
        return self._region_of(record)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _region_of(self, record: object) -> str:
        country = _code(_member(record, "country"))
        if country is None:
            return UNKNOWN
        if country not in self._countries:
            return OTHER
        parts = _member(record, "subdivisions")
        code = _code(parts[0]) if isinstance(parts, list) and parts else None  # from the largest down
        if code is None:
            return UNKNOWN
        region = f"{country}-{code.removeprefix(f'{country}-')}"
        return region if region in self._regions else OTHER


def _member(record: object, name: str) -> object:
    return record.get(name) if isinstance(record, Mapping) else None


def _code(part: object) -> str | None:
    code = _member(part, "iso_code")
    return code if isinstance(code, str) and code else None


def _unreadable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        "the database of regions must be a readable file",
        value=f"{reason}: {path}",
        remedy="Correct regions.database in the site file, or put the file there.",
    )


def _damaged(path: Path) -> SourceError:
    return SourceError(
        "the database of regions must be a MaxMind database (.mmdb)",
        value=f"a file that cannot be read as one: {path}",
        remedy="Fetch it anew from its provider.",
    )
