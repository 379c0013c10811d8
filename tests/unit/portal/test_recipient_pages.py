"""What recipients find on their pages: what is theirs, nothing else, and the numbers as they were published."""

from __future__ import annotations

import html
import re
from typing import Any

import pandas as pd
import pytest

from pipeline.portal.editions import bundle_of, derived_of
from pipeline.portal.mine.prose import markdown_page
from pipeline.publication.derived.across import compared
from pipeline.publication.views import column_order
from tests.delivering import DeliveredSite
from tests.portals import Browser, Portal
from tests.visiting import (
    CORRECTED,
    CORRECTION,
    NEWEST,
    OWN,
    PRODUCT,
    REASON,
    SECRET,
    TITLE,
    WITHDRAWN,
    held,
    visitor,
)

HOME = f"/my/products/{PRODUCT}"
TABLE = f"{NEWEST}/tables/by_browser"
MANY = f"{NEWEST}/tables/by_section"
EVERY = (
    "/my",
    HOME,
    f"{HOME}/trends",
    NEWEST,
    CORRECTED,
    f"{NEWEST}/methodology",
    TABLE,
    f"{NEWEST}/tables/by_browser_and_system",
    f"{CORRECTION}/tables/by_section",
    "/my/account",
    WITHDRAWN,
    "/my/products/nothing",
)


def text_of(cell: str) -> str:
    """What people read of a piece of HTML, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", cell)).replace("\xa0", " ").split())


def rows_of(page: str, caption: str) -> list[list[str]]:
    """The rows of the tables of a page whose captions begin so; rows that are folded away too."""
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    own = [one for one in tables if text_of(one).startswith(caption)]
    assert own, f"no table begins with {caption}"
    rows = [row for one in own for row in re.findall(r"<tr.*?</tr>", one.partition("<tbody>")[2], re.DOTALL)]
    return [[text_of(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


def shown(browser: Browser, place: str) -> str:
    answer = browser.get(place)
    assert answer.status_code == 200, (place, answer.status_code)
    return answer.text


def number(text: str) -> float:
    return float(re.sub(r"[^0-9.-]", "", text.replace("+", "")))


def _by(frame: pd.DataFrame, *names: str) -> dict[tuple[str, ...], dict[Any, Any]]:
    """Records by their keys."""
    return {tuple(str(record[name]) for name in names): record for record in frame.to_dict("records")}


def test_the_catalogue_shows_what_is_theirs_and_nothing_else(acme: Browser, north: Browser) -> None:
    whole, part = shown(acme, "/my"), shown(north, "/my")
    assert f"/my/products/{SECRET}" in whole
    assert SECRET not in part
    for name in ("by_browser", "by_browser_and_system"):
        assert f"{NEWEST}/tables/{name}" in part
    assert f"{NEWEST}/tables/by_section" in whole
    assert "by_section" not in part
    assert "one of our partners" in whole
    assert "one of our resellers" in part


def test_what_is_under_embargo_is_not_there(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits, "later") as browser:
        home = shown(browser, "/my")
        assert "Nothing of it is published yet, or it is under embargo" in home
        assert "2026-W" not in home
        assert TITLE not in html.unescape(home)
        for place in (NEWEST, CORRECTED, WITHDRAWN, TABLE, f"{NEWEST}/bundle.zip", f"{HOME}/history.csv"):
            assert browser.get(place).status_code == 404, place
        assert "Nothing of it" in shown(browser, f"{HOME}/trends")


@pytest.mark.parametrize(
    "place",
    [
        f"/my/products/{SECRET}",
        f"/my/products/{SECRET}/trends",
        f"/my/products/{SECRET}/editions/2026-W43/1",
        f"/my/products/{SECRET}/editions/2026-W43/1/files/by_browser.csv",
        f"{NEWEST}/tables/by_section",
        f"{NEWEST}/figures/by_section.svg",
        f"{NEWEST}/files/by_section.csv",
        f"{HOME}/trends/by_section/wide.svg",
        f"{HOME}/history.csv?table=by_section",
    ],
)
def test_what_others_receive_is_as_if_it_were_not_there(acme: Browser, north: Browser, place: str) -> None:
    nothing = north.get("/my/products/nothing_of_that_name")
    refused = north.get(place)
    assert (refused.status_code, refused.text) == (404, nothing.text)
    assert acme.get(place).status_code == 200


def test_a_product_tells_what_became_of_each_edition(acme: Browser) -> None:
    rows = rows_of(shown(acme, HOME), "The newest period first")
    assert [row[:2] for row in rows] == [
        ["2026-W43", "1"],
        ["2026-W42", "1"],
        ["2026-W41", "2"],
        ["2026-W41", "1"],
        ["2026-W40", "1"],
    ]
    states = [re.sub(r"^\W+ ", "", row[2]) for row in rows]
    assert states == ["Current", "Withdrawn", "Current", "Corrected since", "Current"]
    assert f"{REASON}. Delete your copies." in rows[1][4]


def test_a_corrected_edition_names_its_correction(acme: Browser) -> None:
    assert f'<a href="{CORRECTION}">A later revision</a> replaces this one' in shown(acme, CORRECTED)
    assert f'<a href="{CORRECTION}/tables/by_browser">' in shown(acme, f"{CORRECTED}/tables/by_browser")
    assert "There is a correction" not in shown(acme, CORRECTION)
    assert acme.get(f"{HOME}/latest").headers["location"] == NEWEST


def test_a_withdrawn_edition_tells_why_and_gives_nothing(acme: Browser, north: Browser) -> None:
    for browser in (acme, north):
        for more in ("", "/methodology", "/tables/by_browser", "/files/by_browser.csv", "/bundle.zip"):
            answer = browser.get(f"{WITHDRAWN}{more}")
            assert answer.status_code == 410, more
            assert html.escape(REASON, quote=False) in answer.text.replace("&#34;", '"')
            assert "Delete your copies" in answer.text


def test_what_happened_lately_leads_to_the_edition(acme: Browser) -> None:
    home = shown(acme, "/my")
    assert (
        f'<strong>Corrected</strong>: {html.escape(TITLE).replace("&quot;", "&#34;")}, <a href="{CORRECTION}">' in home
    )
    assert "Revision 2 replaces revision 1." in home
    assert f'<a href="{HOME}">2026-W42, revision 1</a>' in home


@pytest.mark.parametrize("who", ["acme", "north"])
def test_figures_are_those_that_were_published(visited: DeliveredSite, visits: Portal, who: str) -> None:
    published = bundle_of(held(visited, who)).tables["by_browser"]
    listed = _by(published[published["value"].notna()], "browser")
    with visitor(visited, visits, who) as browser:
        rows = rows_of(shown(browser, TABLE), "By browser <b>, 2026-W43")
    assert {(row[0],) for row in rows} == set(listed)
    assert who == "acme" or {key for (key,) in listed} <= {*OWN, "all", "all other"}
    for name, value, interval, _noise in rows:
        record = listed[(name,)]
        assert number(value) == record["value"]
        assert [number(end) for end in interval.split(" to ")] == [record["value_lo"], record["value_hi"]]


def test_each_measure_is_told_with_its_interval(visited: DeliveredSite, acme: Browser) -> None:
    published = bundle_of(held(visited, "acme")).tables["by_section"]
    numbers = _by(published[published["value"].notna()], "section", "measure")
    for section, *cells in rows_of(shown(acme, MANY), "By section, 2026-W43"):
        for measure, cell in zip(("people in groups", "views"), cells, strict=True):
            record = numbers[(section, measure)]
            told = [number(part) for part in re.findall(r"[\d,.]+", cell.removeprefix("rough"))]
            assert told == [record["value"], record["value_lo"], record["value_hi"]], (section, measure)


@pytest.mark.parametrize("table", ["by_browser", "by_browser_and_system", "by_section"])
def test_shares_and_indices_are_those_of_the_edition(visited: DeliveredSite, acme: Browser, table: str) -> None:
    edition = held(visited, "acme")
    facts = next(one for one in bundle_of(edition).manifest.tables if one.name == table)
    derived = derived_of(edition)
    own = derived[(derived["table"] == table) & derived["value"].notna()]
    told = rows_of(shown(acme, f"{NEWEST}/tables/{table}"), f"{facts.title}: shares")
    found = sorted(cell for row in told for cell in row[len(facts.dimensions) :] if cell != "not told")
    assert found == sorted(_share(record) for record in own.to_dict("records"))


def _share(record: dict[Any, Any]) -> str:
    value, low, high = (float(record[name]) for name in ("value", "value_lo", "value_hi"))
    if record["statistic"] != "index":
        return f"{100 * value:.1f} % {100 * low:.1f} to {100 * high:.1f}"
    word = "▲ above" if low > 100 else "▼ below" if high < 100 else "like everybody"
    return f"{value:,.0f} {low:,.0f} to {high:,.0f} {word}"


def test_changes_are_those_between_the_two_editions(visited: DeliveredSite, acme: Browser) -> None:
    now, before = (bundle_of(held(visited, "acme", *which)) for which in (("2026-W41", 2), ("2026-W40", 1)))
    expected = compared(now, {"2026-W40": before}.get, "by_browser")
    comparable = _by(expected[expected["verdict"] != "not comparable"], "browser")
    page = shown(acme, f"{CORRECTION}/tables/by_browser")
    rows = rows_of(page, "By browser <b>: 2026-W41 against 2026-W40")
    assert {(row[0],) for row in rows} == set(comparable)
    assert len(rows) > 3
    for name, was, value, change, percent, verdict in rows:
        record = comparable[(name,)]
        assert (number(was), number(value)) == (record["before"], record["value"])
        told = [number(part) for part in re.findall(r"[+-][\d,.]+", change)]
        assert told == pytest.approx([record[one] for one in ("change", "change_lo", "change_hi")], abs=0.51)
        ratios = [number(part) for part in re.findall(r"[+-][\d,.]+", percent)]
        assert ratios == pytest.approx([record[one] for one in ("percent", "percent_lo", "percent_hi")], abs=0.051)
        assert record["verdict"] in verdict
    if ("all other",) in comparable:  # where the noise left one in both editions
        assert page.index('<th scope="row">all</th>') < page.index('<th scope="row">all other</th>')


def test_what_there_is_to_compare_with_is_said(acme: Browser) -> None:
    page = shown(acme, TABLE)
    assert "The period before, 2026-W42, is not there to compare with" in page
    assert "The same period a year before, 2025-W43, is not there" in page


def test_every_column_of_the_file_has_its_meaning(visited: DeliveredSite, acme: Browser) -> None:
    bundle = bundle_of(held(visited, "acme"))
    for facts in bundle.manifest.tables:
        rows = rows_of(shown(acme, f"{NEWEST}/tables/{facts.name}"), "Of the Parquet and CSV files")
        assert [row[0] for row in rows] == list(column_order(facts.dimensions))
        assert [row[0] for row in rows] == list(bundle.tables[facts.name].columns)
        assert all(row[1] and row[2] for row in rows)


def test_figures_are_drawn_for_each_recipient(visited: DeliveredSite, acme: Browser, north: Browser) -> None:
    place = f"{NEWEST}/figures/by_browser.svg"
    whole, part = acme.get(place), north.get(place)
    assert whole.headers["content-type"] == "image/svg+xml"
    table = bundle_of(held(visited, "acme")).tables["by_browser"]
    others = set(table[table["value"].notna() & (table["row_kind"] == "group")]["browser"]) - {*OWN, "other"}
    assert others
    assert any(name in whole.text for name in others)
    assert not [name for name in others if name in part.text]
    assert "<script" not in whole.text
    assert acme.get(f"{NEWEST}/figures/nothing.svg").status_code == 404


def test_a_trend_has_a_figure_for_each_width(acme: Browser, north: Browser) -> None:
    page = shown(acme, f"{HOME}/trends")
    for table in ("by_browser", "by_browser_and_system", "by_section"):
        base = f"{HOME}/trends/{table}"
        assert f'srcset="{base}/narrow.svg"' in page
        assert f'src="{base}/wide.svg"' in page
        drawn = {width: acme.get(f"{base}/{width}.svg") for width in ("wide", "narrow")}
        assert {answer.status_code for answer in drawn.values()} == {200}
        assert drawn["wide"].text != drawn["narrow"].text
    assert acme.get(f"{HOME}/trends/by_browser/huge.svg").status_code == 404
    part = north.get(f"{HOME}/trends/by_browser/wide.svg").text
    assert "Safari" not in part
    assert OWN[0] in part


def test_a_product_of_one_period_has_no_trend_yet(acme: Browser) -> None:
    assert "Two periods make a course" in shown(acme, f"/my/products/{SECRET}/trends")
    assert acme.get(f"/my/products/{SECRET}/trends/by_browser/wide.svg").status_code == 404


def test_the_methodology_is_the_readme_of_the_edition(visited: DeliveredSite, acme: Browser) -> None:
    page = text_of(shown(acme, f"{NEWEST}/methodology"))
    readme = (held(visited, "acme").folder / "README.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", readme, re.MULTILINE)
    assert len(headings) >= 8
    for heading in headings:
        assert page.count(heading) >= 2, heading  # in the line of contents, and above its part
    assert "Withheld is not zero" in page


@pytest.mark.parametrize("place", EVERY)
def test_no_page_carries_what_a_text_would_run(acme: Browser, place: str) -> None:
    page = acme.get(place).text
    for bad in ("<script", "<img src=x", "<i>", "<b>,", "javascript:", " style=", 'onerror="'):
        assert bad not in page, bad
    assert not re.search(r"<[^>]+\son\w+=", page)


@pytest.mark.parametrize("place", EVERY)
def test_no_page_is_kept_by_any_cache(acme: Browser, place: str) -> None:
    answer = acme.get(place)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_figures_are_kept_by_no_cache_as_another_recipients_stand_at_the_same_address(acme: Browser) -> None:
    for place in (f"{NEWEST}/figures/by_browser.svg", f"{HOME}/trends/by_browser/wide.svg"):
        assert acme.get(place).headers["Cache-Control"] == "private, no-store"


def test_the_second_recipient_of_a_browser_reads_what_is_its_own(visited: DeliveredSite, visits: Portal) -> None:
    places = ("/my", TABLE, f"{NEWEST}/figures/by_browser.svg", f"{NEWEST}/files/by_browser.csv", f"{HOME}/history.csv")
    with visitor(visited, visits, "acme") as first, visitor(visited, visits, "north") as second:
        tags = {place: first.get(place).headers.get("ETag", '"none"') for place in places}
        for place in places:
            again = second.get(place, headers={"If-None-Match": tags[place]})
            assert again.status_code == 200, place
            assert "Safari" not in again.text, place


def test_raw_html_of_a_text_is_shown_and_not_run() -> None:
    told, headings = markdown_page("# A\n\n## B <c>\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))\n")
    assert "<script" not in told
    assert 'href="javascript' not in told
    assert [heading.words for heading in headings] == ["B <c>"]
