"""What the site file says of visitor logs."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.documents import Document
from pipeline.periods import PeriodKind
from pipeline.vocabulary import LANGUAGES, Key, Name

Share = Annotated[float, Field(ge=0, le=1)]
Network = IPv4Network | IPv6Network
COUNTRY_PATTERN: Final = "^[A-Z]{2}$"
MOST_VERSIONS: Final = 200


def _known_zone(name: str) -> str:
    if name not in available_timezones() or name == "localtime":  # each machine's own
        raise ValueError("time_zone must be a name of the IANA time zone database")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]

Browser = Literal["Chrome", "Edge", "Firefox", "Opera", "Safari", "Samsung Internet"]
Version = Annotated[int, Field(ge=1, le=10_000)]
# What can be read of a request; everything else a line holds is never read.
RequestField = Literal[
    "address",
    "forwarded",
    "time",
    "request",
    "method",
    "path",
    "query",
    "status",
    "referrer",
    "agent",
    "accept_language",
    "time_zone",
]
TrailingField = Literal["accept_language", "forwarded", "time_zone", "-"]
LogFormatName = Literal[
    "detected", "common", "combined", "common_with_host", "combined_with_host", "apache", "nginx", "w3c", "json", "alb",
    "cloudfront",
]  # fmt: skip


class SectionRule(Document):
    """Paths of one section of the site; the first rule that matches wins."""

    section: Name
    """What pages under these paths are counted as."""
    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Shell patterns over the path without its query: ``/docs/*``; ``*`` matches anything, slashes included."""


class FileKindRule(Document):
    """Paths of one kind of file; the first rule that matches wins, before the rules by the ending of a name."""

    kind: Name
    """What files under these paths are counted as: ``download``, for example."""
    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Shell patterns over the path without its query: ``/get/*``; ``*`` matches anything, slashes included."""


class RegionDatabase(Document):
    """Regions of declared countries, from a database of network addresses in MaxMind's format."""

    database: str
    """Path of an ``.mmdb`` file whose records have ``country`` and ``subdivisions``; relative to the site file."""
    countries: Annotated[tuple[Annotated[str, Field(pattern=COUNTRY_PATTERN)], ...], Field(min_length=1)]
    """Countries (ISO 3166-1 alpha-2) whose regions may be named; regions of any other are ``other``."""


class LogSource(Document):
    """Some logs of one server, and how they are written."""

    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths or globs, relative to the site file, or ``s3://bucket/key`` or ``sftp://host/path``; plain, gzip, bzip2 or
    zstd. ``{year}``, ``{month}`` and ``{day}`` stand for each day of the period, and one day before and after."""
    format: LogFormatName = "detected"
    """How a line is written: ``detected`` by looking at each file; ``apache`` and ``nginx`` need ``log_format``."""
    log_format: str = ""
    """The server's own ``LogFormat`` or ``log_format`` string, as it stands in its configuration."""
    fields: dict[RequestField, str] = Field(default={})
    """Where a field stands, if the format does not tell: of JSON its path (``request.headers.User-Agent``), of W3C its
    name (``cs(Accept-Language)``), of ``apache`` its directive (``%{X-Time-Zone}i``), of ``nginx`` its variable."""
    trailing_fields: tuple[TrailingField, ...] = ()
    """Quoted fields that are logged after the user agent of a combined format, in order; ``-`` is one that is not
    read."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """How the lines' characters are written as bytes; bytes that are none are read as a mark for that."""
    time_zone: TimeZone | None = None
    """Zone of times that are logged without one; the site's, if left out, and UTC for W3C and CloudFront."""
    connection: str | None = None
    """Airflow connection with the credentials of the object store or the SFTP server."""

    @model_validator(mode="after")
    def _own_formats_are_given(self) -> LogSource:
        if (self.format in ("apache", "nginx")) is not bool(self.log_format):
            raise ValueError("log_format must be given with the formats apache and nginx, and with no other")
        combined = self.format in ("detected", "combined", "combined_with_host")
        if self.fields and self.format not in ("apache", "nginx", "w3c", "cloudfront", "json"):
            raise ValueError("fields are of the formats apache, nginx, w3c, cloudfront and json: declare which it is")
        if self.trailing_fields and not combined:
            raise ValueError("trailing_fields are of the combined formats; name the others' in fields or log_format")
        return self


class ErrorLogSource(Document):
    """Error logs of Apache or nginx."""

    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths or globs, as of visitor logs."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """How the lines' characters are written as bytes."""
    time_zone: TimeZone | None = None
    """Zone of the server's clock, which error logs do not tell; the site's, if left out."""
    connection: str | None = None
    """Airflow connection with the credentials of the object store or the SFTP server."""


class VisitorSource(Document):
    """Visitor logs and how they are generalised."""

    logs: Annotated[tuple[str | LogSource, ...], Field(min_length=1)]
    """Logs: a path or glob whose format is detected, or a mapping that says more."""
    error_logs: tuple[str | ErrorLogSource, ...] = ()
    """Error logs: a path or glob, or a mapping that says more. Each error is told of the request it came with."""
    period: PeriodKind = PeriodKind.WEEK
    """The period in which a visitor is one person (the privacy unit)."""
    own_domains: tuple[str, ...] = ()
    """Registered domains of the site itself; referrers from there are ``internal``."""
    sections: tuple[SectionRule, ...] = ()
    """Ordered rules; a path that none matches is ``other``."""
    file_kinds: tuple[FileKindRule, ...] = ()
    """Ordered rules; a path that none matches is of the kind that its ending says, a page where it has none."""
    referrer_domains: tuple[Key, ...] | Literal["any"] = ()
    """Registered domains that may be named in a table, any other is ``other``; or the word ``any``: then each is kept
    as it is found, without what stands before it, and tables name those that many people came from."""
    languages: tuple[Name, ...] = LANGUAGES
    """Primary language subtags that may be named in a table."""
    browser_versions: dict[Browser, tuple[Version, Version]] = Field(default={})
    """Major versions that may be named, by browser: ``Firefox: [115, 150]``; with it there is the dimension
    ``browser_version``."""
    regions: RegionDatabase | None = None
    """Regions of countries, if addresses may be told finer than by country; with it there is the dimension
    ``region``."""
    time_zone_parameter: str | None = None
    """Query parameter in which the site's own pages report the browser's time zone: ``tz``."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks of one's own proxies: what they say in ``X-Forwarded-For`` is believed, and what nobody else says."""
    internal_networks: tuple[Network, ...] = ()
    """Networks of the company itself: their requests are left out."""
    monitor_agents: tuple[Annotated[str, Field(min_length=3)], ...] = ()
    """Words in the user agents of one's own monitoring, beside the well-known ones: such requests are left out."""
    max_rejected_share: Share = 0.01
    """Above this share of lines that cannot be used, ingestion stops."""

    @field_validator("referrer_domains")
    @classmethod
    def _any_stands_alone(cls, domains: tuple[str, ...] | Literal["any"]) -> tuple[str, ...] | Literal["any"]:
        if domains != "any" and "any" in domains:
            raise ValueError("any stands in no list: it is the word alone, or a list of domains")
        return domains

    @field_validator("browser_versions")
    @classmethod
    def _in_order(cls, versions: dict[Browser, tuple[int, int]]) -> dict[Browser, tuple[int, int]]:
        for browser, (first, last) in versions.items():
            if not first <= last < first + MOST_VERSIONS:
                raise ValueError(f"versions of {browser} must be two ascending numbers, {MOST_VERSIONS} at most")
        return versions

    @property
    def log_sources(self) -> tuple[LogSource, ...]:
        """The logs, each with all that is said of it."""
        return tuple(LogSource(paths=(one,)) if isinstance(one, str) else one for one in self.logs)

    @property
    def error_log_sources(self) -> tuple[ErrorLogSource, ...]:
        """The error logs, each with all that is said of it."""
        return tuple(ErrorLogSource(paths=(one,)) if isinstance(one, str) else one for one in self.error_logs)

    @property
    def named_versions(self) -> dict[str, tuple[int, int]]:
        """First and last version that may be named, by browser."""
        return {str(browser): span for browser, span in self.browser_versions.items()}

    @property
    def has_time_zones(self) -> bool:
        """Whether anything says where the site logs the browser's time zone."""
        logged = any("time_zone" in (*source.fields, *source.trailing_fields) for source in self.log_sources)
        return logged or self.time_zone_parameter is not None

    def region_database(self, base: Path) -> Path | None:
        """The database of regions, relative to the folder of the site file."""
        return base / self.regions.database if self.regions else None
