"""What staging tells of visitors beyond one request: visits, errors, zones, versions, proxies, and who is left out."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from pipeline.deidentify.staging import Staging
from pipeline.errors import RejectShareError
from tests.log_lines import CHROME, column, counts, events, line, stage
from tests.staged import contents, folder_of

START = dt.datetime(2026, 10, 5, 10, tzinfo=dt.UTC)
ZONED = [{"paths": ["*.log*"], "format": "combined", "trailing_fields": ["time_zone", "forwarded"]}]


def at(minutes: float, path: str, **options: str) -> str:
    moment = START + dt.timedelta(minutes=minutes)
    return line(time=f"{moment:%d/%b/%Y:%H:%M:%S %z}", request=f"GET {path} HTTP/1.1", **options)


def walked(staging: Staging, *names: str) -> list[tuple[object, ...]]:
    """Rows of some columns; staging has no order of its own."""
    return sorted((tuple(row[name] for name in names) for row in events(staging)), key=str)


def test_a_visit_is_told_by_where_it_began_where_it_ended_and_its_steps(tmp_path: Path) -> None:
    staging = stage(tmp_path, at(0, "/docs/a"), at(1, "/docs/b"), at(2, "/shop"), at(40, "/shop"))
    names = ("visits", "entry_section", "exit_section", "from_section", "to_section")
    assert walked(staging, *names) == [
        (0, None, "shop", "docs", "shop"),
        (0, None, None, None, None),
        (1, "docs", None, None, None),
        (1, "shop", "shop", None, None),
    ]


def test_pages_and_downloads_that_were_got_are_page_views(tmp_path: Path) -> None:
    paths = ["/docs/a", "/docs/a.zip", "/a.png", "/style.css", "/docs/b"]
    staging = stage(tmp_path, *(at(place, path) for place, path in enumerate(paths)), at(9, "/docs/c", status="404"))
    assert walked(staging, "file_kind", "page_views") == [
        ("download", 1),
        ("image", 0),
        ("page", 0),
        ("page", 1),
        ("page", 1),
        ("style", 0),
    ]


def test_declared_kinds_of_files_come_before_those_by_ending(tmp_path: Path) -> None:
    kinds = [{"kind": "beacon", "paths": ["/b.gif"]}]
    staging = stage(tmp_path, at(0, "/b.gif"), at(1, "/c.gif"), file_kinds=kinds)
    assert column(staging, "file_kind") == ["beacon", "image"]


def test_visits_reach_over_files_in_whatever_order_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "access.log.1").write_text(at(-10, "/shop") + at(-5, "/docs/z"))
    staging = stage(tmp_path, at(0, "/docs/a"), logs=["access.log*"])
    assert walked(staging, "visits", "entry_section", "to_section") == [
        (0, None, "docs"),
        (0, None, None),
        (1, "shop", None),
    ]


def test_staging_keeps_no_time_but_the_hour_and_the_day(tmp_path: Path) -> None:
    staging = stage(tmp_path, at(7.5, "/docs/a"))
    (row,) = events(staging)
    assert not [name for name in row if name.startswith("_")]
    assert set(staging.place.names()) == {*staging.manifest.names, "manifest.json"}
    assert set(contents(folder_of(staging))) == set(staging.place.names())


def test_monitors_bots_and_ones_own_networks_are_left_out_each_under_its_name(tmp_path: Path) -> None:
    lines = [
        line(),
        line(agent="Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"),
        line(agent=f"{CHROME} OurProbe/7"),
        line(agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        line(address="203.0.113.77"),
        line(address="2001:db8:1::5"),
    ]
    networks = ["203.0.113.0/24", "2001:db8:1::/48"]
    staging = stage(tmp_path, *lines, internal_networks=networks, monitor_agents=["ourprobe"])
    assert counts(staging) == (6, 1, {"internal": 2, "monitor": 2, "bot": 1}, {})


def test_behind_a_declared_proxy_the_visitor_is_whom_it_names(tmp_path: Path) -> None:
    lines = [
        line(address="10.0.0.1", tail=' "-" "9.9.9.9, 8.8.8.8"'),  # what the visitor says of itself is not believed
        line(address="10.0.0.1", tail=' "-" "8.8.8.8, 10.0.0.2"'),
        line(address="8.8.8.8", tail=' "-" "1.1.1.1"'),  # no proxy of ours
        line(address="8.8.8.8", tail=' "-" "-"'),
    ]
    staging = stage(tmp_path, *lines, logs=ZONED, trusted_proxies=["10.0.0.0/8"])
    assert len(set(column(staging, "person"))) == 1


def test_without_a_declared_proxy_nobody_is_believed(tmp_path: Path) -> None:
    staging = stage(tmp_path, line(tail=' "-" "1.1.1.1"'), line(tail=' "-" "2.2.2.2"'), logs=ZONED)
    assert len(set(column(staging, "person"))) == 1


def test_the_time_zone_is_the_one_that_is_logged(tmp_path: Path) -> None:
    lines = [line(tail=f' "{zone}" "-"') for zone in ("Europe/Berlin", "Asia/Calcutta", "Mars/Base", "-", "")]
    staging = stage(tmp_path, *lines, logs=ZONED)
    assert walked(staging, "time_zone") == [("Asia/Kolkata",), ("Europe/Berlin",), ("unknown",), (None,), (None,)]


def test_the_time_zone_may_come_in_a_parameter_of_the_pages_own_beacon(tmp_path: Path) -> None:
    paths = ["/b.gif?tz=Europe%2FBerlin&x=1", "/b.gif?x=1&tz=UTC", "/b.gif?atz=UTC", "/docs/a"]
    lines = [line(request=f"GET {path} HTTP/1.1") for path in paths]
    staging = stage(tmp_path, *lines, time_zone_parameter="tz")
    assert walked(staging, "time_zone") == [("Europe/Berlin",), ("UTC",), (None,), (None,)]


def test_a_site_that_logs_no_zone_has_no_such_dimension(tmp_path: Path) -> None:
    assert "time_zone" not in events(stage(tmp_path, line()))[0]


def test_declared_versions_of_browsers_are_told(tmp_path: Path) -> None:
    agents = [
        CHROME,
        CHROME.replace("120", "99"),
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ]
    staging = stage(tmp_path, *(line(agent=agent) for agent in agents), browser_versions={"Chrome": [110, 130]})
    assert column(staging, "browser_version") == ["Chrome 120", "other", "other"]


def test_a_format_without_agents_and_referrers_tells_visitors_apart_by_address(tmp_path: Path) -> None:
    begin = '- - [05/Oct/2026:10:00:00 +0000] "GET /docs/a HTTP/1.1" 200 12\n'
    staging = stage(tmp_path, f"8.8.8.8 {begin}", f"8.8.8.8 {begin}", f"1.1.1.1 {begin}")
    assert staging.manifest.formats == {"common": 1}
    assert len(set(column(staging, "person"))) == 2
    assert set(walked(staging, "operating_system", "browser", "referrer_class", "referrer_domain", "language")) == {
        ("unknown", "unknown", "unknown", "other", "unknown")
    }


NGINX = '2026/10/05 {time} [{level}] 1#0: *5 {message}, client: {client}, server: x, request: "GET /x HTTP/1.1"\n'
NOT_FOUND = 'open() "/srv/x" failed (2: No such file or directory)'


def error(*, time: str = "10:00:01", level: str = "error", message: str = NOT_FOUND, client: str = "8.8.8.8") -> str:
    return NGINX.format(time=time, level=level, message=message, client=client)


def erring(home: Path, *errors: str, **options: Any) -> Staging:
    (home / "error-log").write_text("".join(errors))
    lines = [at(0, "/docs/a"), at(0, "/shop", address="1.1.1.1"), at(30, "/docs/b")]
    return stage(home, *lines, error_logs=["error-log"], **options)


def test_an_error_is_told_of_the_request_it_came_with(tmp_path: Path) -> None:
    staging = erring(tmp_path, error(), error(time="10:30:00", level="crit", message="upstream timed out (110)"))
    assert walked(staging, "error_level", "error_kind") == [
        ("crit", "upstream"),
        ("error", "not found"),
        (None, None),
    ]


def test_every_line_of_an_error_log_ends_in_exactly_one_place(tmp_path: Path) -> None:
    lines = [
        error(),
        error(client="7.7.7.7"),  # nobody's request
        error(time="20:00:00"),
        "2026/10/06 10:00:00 [error] 1#0: *5 x, client: 8.8.8.8\n",
        "2026/10/05 10:00:00 [notice] 1#0: signal process started\n",
        error(client="unix:"),
        "nonsense\n",
    ]
    told = erring(tmp_path, *lines).manifest.sources["error logs"]
    assert (told.read, told.used) == (7, 1)
    assert told.left_out["outside the period"] == 1
    assert told.left_out["no request of a visitor beside it"] == 2
    assert sum(told.left_out.values()) + sum(told.rejected.values()) == 6
    assert told.rejected["format"] == 1


def test_too_many_lines_that_are_no_errors_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(RejectShareError, match=r"error logs: .*format 1 \(error-log line 2\)"):
        erring(tmp_path, error(), "planted secret\n", max_rejected_share=0.1)


def test_no_address_is_in_staging_under_any_name(tmp_path: Path) -> None:
    (row, *_) = events(erring(tmp_path, error()))
    assert not {"address", "_address"} & set(row)
