"""What the sample's access logs look like, read with nothing of the product but its lists of words."""

import collections
import datetime as dt
import gzip
import re
from pathlib import Path

import iptocc
import numpy as np
import pytest
import ua_parser
from crawlerdetect import CrawlerDetect

from pipeline.sample import SampleSummary
from pipeline.sample.browsers import BROWSERS, CRAWLERS
from pipeline.sample.clients import draw_clients
from pipeline.sample.columns import spread
from pipeline.sample.countries import COUNTRIES
from pipeline.vocabulary import COUNTRIES as COUNTRY_CODES

LINE = re.compile(
    rb'(?P<address>\S+) - (?P<login>\S+) \[(?P<time>[^\]]+)\] "(?P<method>GET|POST|HEAD) (?P<path>\S+) HTTP/[\d.]+" '
    rb'(?P<status>\d{3}) (?P<size>\d+|-) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)" "(?P<language>[^"]*)"\n'
)


@pytest.fixture(scope="session")
def requests(lines: list[bytes]) -> list[re.Match[bytes]]:
    return [found for line in lines if (found := LINE.fullmatch(line))]


@pytest.fixture(scope="session")
def people(requests: list[re.Match[bytes]]) -> list[re.Match[bytes]]:
    crawlers = {text.encode() for _, text in CRAWLERS}
    return [request for request in requests if request["agent"] not in crawlers]


def _column(requests: list[re.Match[bytes]], name: str) -> list[str]:
    return [request[name].decode() for request in requests]


def test_the_logs_hold_exactly_as_many_lines_as_were_asked_for(lines: list[bytes], summary: SampleSummary) -> None:
    assert len(lines) == summary.lines == 5_000
    assert all(line.endswith(b"\n") for line in lines)


def test_a_quarter_of_a_percent_of_the_lines_is_no_request(
    lines: list[bytes], requests: list[re.Match[bytes]], summary: SampleSummary
) -> None:
    assert len(lines) - len(requests) == summary.malformed_lines
    assert 0.002 <= summary.malformed_lines / len(lines) <= 0.003


def test_malformed_lines_are_of_every_kind(lines: list[bytes]) -> None:
    odd = [line for line in lines if not LINE.fullmatch(line)]
    invalid = [line for line in odd if line.decode(errors="replace").encode() != line]
    unanswered = [line for line in odd if re.search(rb'"(|-|\\x16[^"]*)" 4\d\d 157 "-" "-" "-"\n$', line)]
    cut = {len(line) for line in odd if line not in invalid and line not in unanswered}
    assert invalid
    assert unanswered
    assert cut == {19, 56, 111}


def test_the_two_weeks_are_covered_day_by_day(days: dict[str, list[bytes]]) -> None:
    assert list(days)[-3:] == ["access.log.2.gz", "access.log.1", "access.log"]
    first = dt.date(2026, 10, 5)
    for number, day in enumerate(days.values()):
        expected = (first + dt.timedelta(days=number)).strftime("%d/%b/%Y").encode()
        assert {found["time"][:11] for line in day if (found := LINE.fullmatch(line))} == {expected}
    assert {dt.date(2026, 10, 5).isocalendar().week, dt.date(2026, 10, 18).isocalendar().week} == {41, 42}
    assert len(days) == 14


def test_lines_are_in_the_order_of_time(requests: list[re.Match[bytes]]) -> None:
    times = [dt.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z") for text in _column(requests, "time")]
    assert times == sorted(times)


def test_each_visitor_is_one_address_with_one_user_agent(people: list[re.Match[bytes]], summary: SampleSummary) -> None:
    assert len({(request["address"], request["agent"]) for request in people}) == summary.visitors == 400


def test_some_visitors_share_an_address(people: list[re.Match[bytes]]) -> None:
    agents = collections.Counter(address for address, _ in {(r["address"], r["agent"]) for r in people})
    assert 5 <= sum(1 for count in agents.values() if count > 1) <= 40


def test_visitors_who_share_an_address_have_other_user_agents() -> None:
    clients = draw_clients(np.random.default_rng(1), 4_000)
    agents = [tail.split(b'"')[0] for tail in clients.tail.to_pylist()[:4_000]]
    assert len(set(zip(clients.head.to_pylist()[:4_000], agents, strict=True))) == 4_000
    assert len(set(clients.head.to_pylist()[:4_000])) == 3_840


def test_some_visitors_come_back_in_the_second_week(people: list[re.Match[bytes]]) -> None:
    weeks = collections.defaultdict(set)
    for request in people:
        weeks[request["address"], request["agent"]].add(int(request["time"][:2]) >= 12)
    both = sum(1 for seen in weeks.values() if len(seen) == 2)
    assert 0.1 < both / len(weeks) < 0.5


def test_activity_has_a_heavy_tail() -> None:
    activity = np.sort(spread(np.random.default_rng(1), 544_500, 40_000, 1.7))
    assert activity.sum() == 544_500
    assert activity[0] == 1
    assert np.median(activity) <= 6
    assert activity[-1] > 1_000


def test_bots_write_nearly_a_tenth_of_the_lines(
    requests: list[re.Match[bytes]], people: list[re.Match[bytes]], summary: SampleSummary
) -> None:
    assert len(requests) - len(people) == summary.bot_lines
    assert 0.08 <= summary.bot_lines / summary.lines <= 0.10


def test_every_crawler_is_known_as_one_and_no_browser_is() -> None:
    detector = CrawlerDetect()
    assert [text for _, text in CRAWLERS if not detector.isCrawler(text)] == []
    assert [text for browser in BROWSERS for text in browser.strings()[::40] if detector.isCrawler(text)] == []


def test_there_are_hundreds_of_browsers_of_every_kind() -> None:
    strings = [text for browser in BROWSERS for text in browser.strings()]
    parsed = [ua_parser.parse(browser.strings()[0]) for browser in BROWSERS]
    systems = {result.os.family for result in parsed if result.os}
    families = {result.user_agent.family for result in parsed if result.user_agent}
    assert len(set(strings)) == len(strings) > 500
    assert {"Android", "Chrome OS", "Windows", "iOS", "Mac OS X", "Linux"} <= systems
    assert {"Chrome", "Edge", "Firefox", "Opera", "Safari", "Mobile Safari", "Samsung Internet"} <= families


def test_one_visitor_in_eight_comes_over_ipv6(people: list[re.Match[bytes]]) -> None:
    new = {request["address"] for request in people if b":" in request["address"]}
    assert 0.07 < len(new) / len({request["address"] for request in people}) < 0.18


def test_addresses_belong_to_the_wanted_mix_of_countries(people: list[re.Match[bytes]]) -> None:
    addresses = sorted({request["address"].decode() for request in people})
    found = collections.Counter(iptocc.country_code(addresses))
    assert set(found) - {None} <= {country.code for country in COUNTRIES}
    assert 0.17 < found["US"] / len(addresses) < 0.32
    assert 0.06 < found["DE"] / len(addresses) < 0.17
    assert len(found) > 25


def test_every_country_of_the_mix_is_one_that_tables_can_name() -> None:
    assert {country.code for country in COUNTRIES} <= set(COUNTRY_CODES)
    assert len({country.code for country in COUNTRIES}) == len(COUNTRIES)


def test_languages_fit_the_countries(people: list[re.Match[bytes]]) -> None:
    addresses, languages = _column(people, "address"), _column(people, "language")
    german = [text[:2] for code, text in zip(iptocc.country_code(addresses), languages, strict=True) if code == "DE"]
    assert collections.Counter(german).most_common(1)[0][0] == "de"
    assert "-" in languages


def test_query_strings_and_referrers_hold_mail_addresses_and_tokens(people: list[re.Match[bytes]]) -> None:
    for column in ("path", "referrer"):
        text = "\n".join(_column(people, column))
        assert re.search(r"email=[a-z]+\.[a-z]+\d+%40example\.org&token=[0-9a-f]{24}", text)


def test_every_mail_address_is_of_a_domain_that_nobody_has(lines: list[bytes]) -> None:
    text = b"".join(lines).decode(errors="replace").replace("@moz.com", "")  # a crawler names its maker
    found = {match.rstrip(".") for match in re.findall(r"(?:@|%40)((?:[a-z0-9-]+\.)+[a-z]+)", text)}
    assert found <= {"example.org", "mail.example"}
    assert "example.org" in found


def test_some_lines_name_who_is_signed_in(people: list[re.Match[bytes]]) -> None:
    logins = [text for text in _column(people, "login") if text != "-"]
    assert 0.005 < len(logins) / len(people) < 0.15
    assert all(text.endswith("@example.org") for text in logins)


def test_answers_are_of_every_class(requests: list[re.Match[bytes]]) -> None:
    assert {"200", "206", "301", "304", "404", "500"} <= set(_column(requests, "status"))
    assert {request["size"] for request in requests if request["status"] == b"304"} == {b"-"}


def test_visitors_arrive_in_every_way(people: list[re.Match[bytes]]) -> None:
    referrers, paths = "\n".join(_column(people, "referrer")), "\n".join(_column(people, "path"))
    for part in ("google.com", "www.linkedin.com", "mail.google.com", "github.com", "https://www.example.com/"):
        assert part in referrers
    assert "-" in referrers.split("\n")
    assert "utm_campaign=" in paths


def test_old_logs_are_packed_without_name_or_time(home: Path) -> None:
    for path in (home / "sources" / "logs").glob("*.gz"):
        head = path.read_bytes()[:10]
        assert head[:2] == b"\x1f\x8b"
        assert head[3] == 0  # no flags: no name
        assert head[4:8] == bytes(4)  # no time
        gzip.decompress(path.read_bytes())
