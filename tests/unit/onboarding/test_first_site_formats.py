"""A first site file for logs of every format, and staging by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.deidentify.visitors import stage_visitors
from pipeline.errors import SourceError
from pipeline.onboarding.first_site import OnboardingReport, describe, write_first_site
from pipeline.periods import Period
from pipeline.site import LogSource, VisitorSource, load_site
from pipeline.spec import load_specification
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests import made_logs
from tests.log_lines import events
from tests.made_logs import DETECTED, Request

WEEK = Period.parse("2026-W41")
VISITORS = 60
ALL_TABLES = {"country", "operating_system", "browser", "referrer_class", "section"}
# What a format does not tell, or tells beside the rest.
TABLES = {
    "common": {"country", "section"},
    "common with host": {"country", "section"},
    "ALB": ALL_TABLES - {"referrer_class"},
    **dict.fromkeys(("combined with languages", "IIS", "Caddy", "Traefik", "nginx JSON"), ALL_TABLES | {"language"}),
}


def requests(forwarded: bool = False, **fields: Any) -> list[Request]:
    addresses = [f"198.51.100.{number + 1}" for number in range(VISITORS)]
    one = Request(**fields)
    return [replace(one, forwarded=sender) if forwarded else replace(one, address=sender) for sender in addresses]


def first_site(folder: Path, **contents: str) -> OnboardingReport:
    for name, content in contents.items():
        (folder / f"{name}.log").write_text(content, "utf-8")
    return write_first_site(folder / "home", [str(folder / "*.log")], None)


def visitors(report: OnboardingReport) -> VisitorSource:
    found = load_site(report.site_file).visitors
    assert found is not None
    return found


def tables(report: OnboardingReport) -> set[str]:
    specification = load_specification(report.site_file.parent / "releases" / "weekly_visitors.yaml")
    return {table.dimensions[0] for table in specification.tables}


def staged(report: OnboardingReport) -> tuple[int, dict[str, int], dict[str, int]]:
    staging = stage_visitors(Workspace(report.site_file.parent), load_site(report.site_file), WEEK)
    counts = staging.manifest.sources["visitor logs"]
    return counts.used, counts.left_out, counts.rejected


@dataclass(frozen=True)
class Described:
    """What was written of the logs of one format."""

    name: str
    folder: Path
    report: OnboardingReport


@pytest.fixture(scope="module", params=DETECTED)
def described(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Described:
    name: str = request.param
    folder = tmp_path_factory.mktemp("logs")
    return Described(name, folder, first_site(folder, access=DETECTED[name](requests(query="mail=ada@example.org"))))


def test_logs_of_every_format_become_a_site_that_can_be_staged(described: Described) -> None:
    assert described.report.periods == {Population.VISITORS: (WEEK,)}
    assert tables(described.report) == TABLES.get(described.name, ALL_TABLES)
    used, left_out, rejected = staged(described.report)
    assert (used, rejected) == (VISITORS, {})
    assert set(left_out) <= {"directive"}


def test_nothing_is_declared_that_looking_at_the_files_tells(described: Described) -> None:
    declared = visitors(described.report).logs
    pattern = str(described.folder / "*.log")
    if described.name == "combined with languages":
        trailing = ("-", "accept_language")
        assert declared == (LogSource(paths=(pattern,), format="combined", trailing_fields=trailing),)
    else:
        assert declared == (pattern,)


def test_nothing_raw_is_written_or_told_of_any_format(described: Described) -> None:
    report = described.report
    told = describe(report) + "".join(path.read_text() for path in (report.site_file, *report.releases))
    told = told.replace(str(described.folder), "")
    assert not any(raw in told for raw in ("4711", "198.51", "ada@", "AppleWebKit", "de-DE"))


def test_ordinary_logs_are_not_said_to_stand_behind_a_proxy(described: Described) -> None:
    assert proxy_notes(described.report) == []


def test_what_is_declared_stands_in_the_site_file_as_an_engineer_would_write_it(tmp_path: Path) -> None:
    report = first_site(tmp_path, access=made_logs.combined_with_languages(requests()))
    assert (
        "visitors:\n"
        "  logs:\n"
        "  - paths:\n"
        f"    - {tmp_path}/*.log\n"
        "    format: combined\n"
        "    trailing_fields:\n"
        "    - '-'\n"
        "    - accept_language\n"
    ) in report.site_file.read_text()


def test_each_pattern_is_declared_by_itself(tmp_path: Path) -> None:
    for name, logged in (("web", made_logs.combined_with_languages), ("iis", made_logs.iis)):
        (tmp_path / name).write_text(logged(requests()), "utf-8")
    report = write_first_site(tmp_path / "home", [str(tmp_path / "web"), str(tmp_path / "iis")], None)
    first, second = visitors(report).logs
    assert isinstance(first, LogSource)
    assert (first.paths, second) == ((str(tmp_path / "web"),), str(tmp_path / "iis"))
    assert staged(report)[0] == 2 * VISITORS


def test_files_of_several_formats_under_one_pattern_are_told_apart(tmp_path: Path) -> None:
    logged: dict[str, Callable[[Iterable[Request]], str]] = {
        "a": made_logs.combined_with_languages, "b": made_logs.iis, "c": made_logs.caddy,
    }  # fmt: skip
    report = first_site(tmp_path, **{name: one(requests()) for name, one in logged.items()})
    assert visitors(report).log_sources == (
        LogSource(paths=(str(tmp_path / "*.log"),), trailing_fields=("-", "accept_language")),
    )
    used, _, rejected = staged(report)
    assert (used, rejected) == (3 * VISITORS, {})


def test_formats_are_told_by_number_of_files(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 10, 6, tzinfo=dt.UTC)
    later = [replace(one, moment=moment) for one in requests()]
    report = first_site(tmp_path, a=made_logs.iis(requests()), b=made_logs.iis(later), c=made_logs.combined(requests()))
    assert report.took[0] == "visitor logs: 2 file(s) in the format W3C extended, 1 file(s) in the format combined"


def test_logs_without_user_agents_are_counted_by_what_they_tell_and_the_rest_is_said(tmp_path: Path) -> None:
    report = first_site(tmp_path, access=made_logs.common(requests()))
    assert tables(report) == {"country", "section"}
    assert any("no user agent is logged" in note and "bots" in note for note in report.notes)
    assert any("no referring page is logged" in note for note in report.notes)
    assert not any("user agent" in what or "language" in what for what in report.took)


def test_an_address_is_declared_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(made_logs.combined(requests()), "utf-8")
    report = write_first_site(tmp_path / "home", [f"file://{tmp_path}/x.log"], None)
    assert visitors(report).logs == (f"file://{tmp_path}/x.log",)


def test_a_template_finds_the_logs_of_every_day(tmp_path: Path) -> None:
    for day in (5, 6):
        moment = dt.datetime(2026, 10, day, 12, tzinfo=dt.UTC)
        text = made_logs.combined(replace(one, moment=moment) for one in requests())
        (tmp_path / f"access-2026-10-{day:02d}.log").write_text(text, "utf-8")
    report = write_first_site(tmp_path / "home", [str(tmp_path / "access-{year}-{month}-{day}.log")], None)
    assert staged(report)[0] == 2 * VISITORS


# Proxies


def proxy_notes(report: OnboardingReport) -> list[str]:
    return [note for note in report.notes if "trusted_proxies" in note]


@pytest.mark.parametrize("proxy", ["10.0.0.9", "8.8.8.8"])
@pytest.mark.parametrize("logged", [made_logs.nginx_main, made_logs.caddy])
def test_logs_behind_a_proxy_are_said_to_be(tmp_path: Path, logged: made_logs.Logged, proxy: str) -> None:
    report = first_site(tmp_path, access=logged(requests(forwarded=True, address=proxy)))
    (note,) = proxy_notes(report)
    assert "X-Forwarded-For is logged" in note
    assert ("private addresses" in note) is (proxy == "10.0.0.9")


def test_to_declare_the_proxy_makes_visitors_of_those_behind_it(tmp_path: Path) -> None:
    report = first_site(tmp_path, access=made_logs.nginx_main(requests(forwarded=True, address="10.0.0.9")))
    assert [rule.section for rule in visitors(report).sections] == ["docs"]
    text = report.site_file.read_text()
    report.site_file.write_text(text.replace("\n  own_domains:", "\n  trusted_proxies: [10.0.0.0/8]\n  own_domains:"))
    assert [str(network) for network in visitors(report).trusted_proxies] == ["10.0.0.0/8"]
    site = load_site(report.site_file)
    staging = stage_visitors(Workspace(report.site_file.parent), site, WEEK)
    assert len({row["person"] for row in events(staging)}) == VISITORS


def test_private_addresses_without_anything_behind_them_are_said_to_tell_nobody_apart(tmp_path: Path) -> None:
    report = first_site(tmp_path, access=made_logs.combined([Request(address="10.0.0.9")] * VISITORS))
    (note,) = proxy_notes(report)
    assert "X-Forwarded-For is not logged" in note


# What cannot be read


def test_a_file_of_another_kind_among_the_logs_is_named(tmp_path: Path) -> None:
    errors = "2026/10/05 10:00:00 [error] 7#7: *1 open() failed, client: 198.51.100.9\n" * 30
    report = first_site(tmp_path, access=made_logs.combined(requests()), error=errors)
    assert any("1 of 2 files" in note and "error.log" in note and "error_logs" in note for note in report.notes)
    assert any("max_rejected_share" in note for note in report.notes)


def test_logs_of_no_known_format_leave_no_site(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="format that is read"):
        first_site(tmp_path, access="ada@example.org did something\n" * 9)
    assert not (tmp_path / "home").exists()
