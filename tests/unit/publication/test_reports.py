from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from pipeline.errors import PublicationError
from pipeline.publication.charts import chart_rows, draw_charts
from pipeline.publication.manifest import Approval
from pipeline.publication.report import BudgetFacts, report_bytes, write_report
from pipeline.publication.sections import ordered
from pipeline.publication.views import view, whole
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import Audience, Population
from pipeline.workspace import Workspace
from tests.unit.publication.releases import COUNTRY_COUNTS, frame_of, private_release, release_of, with_table

Element = tuple[str, dict[str, str | None]]


class Page(HTMLParser):
    """What a browser would see: elements in order, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def charts(release: PrivateRelease) -> dict[str, str]:
    return draw_charts(whole(release))


@pytest.fixture
def content(release: PrivateRelease, charts: dict[str, str], verdicts: Verdicts) -> str:
    return report_bytes(whole(release), charts, verdicts).decode()


@pytest.fixture
def page(content: str) -> Page:
    return Page(content)


def words(release: PrivateRelease, **context: Any) -> str:
    page = Page(report_bytes(whole(release), {}, context.pop("verdicts", None), **context).decode())
    return re.sub(r"\s+", " ", page.text)


def test_the_page_needs_nothing_from_outside(page: Page, content: str) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            assert (attributes.get(name) or "#").startswith("#")
    assert not page.named("script", "link", "img", "iframe", "object")
    assert not re.search(r"@import|url\((?!#)", content)
    assert "default-src 'none'" in content


def test_the_page_is_laid_out_for_every_reader(page: Page) -> None:
    assert page.named("html")[0]["lang"] == "en"
    assert len(page.named("main")) == len(page.named("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(attributes["href"] or "")[1:] for attributes in page.named("a")}
    assert targets <= set(ids)


def test_tables_and_charts_tell_what_they_are(page: Page) -> None:
    assert len(page.named("caption")) == len(page.named("table")) > 4
    assert all(attributes.get("scope") in {"col", "row"} for attributes in page.named("th"))
    charts = page.named("svg")
    assert len(charts) == 4  # of people in three tables, and of revenue in one
    assert all(chart["role"] == "img" and "95 % intervals" in (chart["aria-label"] or "") for chart in charts)


def test_a_table_tells_each_measure_with_its_interval_in_one_row(page: Page, release: PrivateRelease) -> None:
    text = re.sub(r"\s+", " ", page.text)
    assert "Visitors in groups Requests Revenue (EUR) Revenue per request (EUR)" in text
    assert "all 6,500 6,482 to 6,518 21,000 20,920 to 21,080 12,345.67 12,327.67 to 12,363.67 0.59" in text
    assert text.count("docs 3,000 2,982 to 3,018 12,000") == 1
    assert "Revenue: of one visitor at most 3,000.00 EUR in all groups together." in text
    assert "Requests: of one visitor at most 20 requests in each group." in text


def test_a_mean_that_cannot_be_told_says_so(release: PrivateRelease) -> None:
    frame = release.tables["sections"].copy()
    row = frame["section"].eq("docs") & frame["measure"].eq("revenue_each")
    frame.loc[row, ["value", "value_lo", "value_hi", "estimate", "noise_sd"]] = pd.NA
    frame.loc[row, ["obs_status", "conf_status"]] = ["Q", "C"]
    text = words(with_table(release, "sections", frame))
    assert re.search(r"docs 3,000 .{20,120}? not told =HYPERLINK", text)
    assert "3 groups shown, 2 withheld" in text


def test_less_reliable_numbers_are_marked_with_a_word_that_is_explained(page: Page, release: PrivateRelease) -> None:
    text = re.sub(r"\s+", " ", page.text)
    assert "all other rough 500" in text
    assert "2 numbers of visitors are marked rough" in text
    assert "rough 1,915" not in text
    assert "Rough The noisy number lies close to the smallest that is shown." in text
    assert "rough" in {attributes.get("id") for _, attributes in page.elements}
    chart = draw_charts(whole(release))["sections"]
    assert "1,000 (rough)<" in chart
    assert "2,000<" in chart
    assert "500 (464 to 536, rough)" in chart


def test_a_sum_has_a_chart_of_its_own(charts: dict[str, str], page: Page) -> None:
    assert set(charts) == {"countries", "systems", "sections", "sections/revenue"}
    assert ">12,000<" in charts["sections/revenue"]  # in whole euros
    assert "Sections of the site, Revenue (EUR)" in charts["sections/revenue"]
    assert "Revenue (EUR). " in page.text


def test_a_sum_of_nothing_but_zeros_can_be_drawn(release: PrivateRelease) -> None:
    frame = release.tables["sections"].copy()
    frame.loc[frame["measure"].eq("revenue"), ["value", "value_lo", "value_hi"]] = 0
    drawn = draw_charts(whole(with_table(release, "sections", frame)), skip={"countries", "systems"})
    places = re.findall(r'translate\(([\d.]+),[\d.]+\)"[^>]*>0</text>', drawn["sections/revenue"])
    assert len(places) == 4
    assert {float(place) for place in places} == {6.0}  # at the left end, a little off the line


def test_private_keys_are_not_called_withheld() -> None:
    text = words(private_release())
    assert "3 groups shown. There is no public list of these keys" in text
    assert "3 groups shown, 0 withheld" not in text


def test_the_parameters_name_what_each_level_counts_and_what_the_noise_takes(release: PrivateRelease) -> None:
    text = words(release)
    assert "Revenue: of one visitor at most 3,000.00 EUR in all groups together discrete Laplace" in text
    assert "Of δ, the noise takes" not in text
    levels = tuple(
        level.model_copy(update={"mechanism": "discrete Gaussian", "epsilon": ""}) for level in release.header.levels
    )
    gaussian = release_of(levels=levels, noise="discrete Gaussian", delta_noise="5e-08")
    assert "Of δ, the noise takes 5e-08." in words(gaussian)
    assert "Total People discrete Gaussian \u2013 1e-09" in words(gaussian)


def test_a_chart_is_well_formed_and_carries_no_foreign_markup(charts: dict[str, str]) -> None:
    for chart in charts.values():
        drawing = ElementTree.fromstring(chart)  # noqa: S314 - drawn a moment ago
        assert not list(drawing.iter("{http://www.w3.org/2000/svg}b"))
    assert "&lt;b&gt;" in charts["sections"]


def test_a_hostile_key_is_shown_and_not_run(content: str) -> None:
    assert '<b>"bold"' not in content
    assert "&lt;b&gt;&#34;bold&#34;&lt;/b&gt;, a &amp; b</th>" in content


def test_a_synthetic_release_says_so(release: PrivateRelease) -> None:
    assert "Synthetic." in words(release)
    assert "Synthetic." not in words(release_of(synthetic=False))


def test_a_scripted_approval_is_called_one(release: PrivateRelease) -> None:
    scripted = Approval(reviewer="make run", decided_at="2026-10-13T09:00:00+00:00", scripted=True)
    assert "no person reviewed it" in words(release, approval=scripted)
    assert "no person reviewed it" not in words(release, approval=scripted.model_copy(update={"scripted": False}))


def test_the_parameters_are_told_in_plain_words(release: PrivateRelease) -> None:
    text = words(release)
    assert "one visitor in one week" in text
    assert "a factor of 2.72 at most" in text
    assert "no more than 73 %" in text


def test_key_figures_are_those_of_the_tables(release: PrivateRelease) -> None:
    text = words(release)
    assert "Visitors in the period 4,210" in text
    assert "3 groups shown, 3 withheld" in text


def test_the_total_of_a_table_over_groups_is_not_called_people(release: PrivateRelease) -> None:
    page = Page(report_bytes(view(release, Audience.ADVERTISER), {}, None).decode())
    assert "in the period" not in page.text
    assert "up to 3 groups" in re.sub(r"\s+", " ", page.text)


def test_an_audience_reads_of_its_own_tables_only(release: PrivateRelease, charts: dict[str, str]) -> None:
    text = report_bytes(view(release, Audience.ADVERTISER), charts, None).decode()
    assert "Sections of the site" in text
    assert "country" not in text.lower()


def test_a_failed_check_is_named_in_words(release: PrivateRelease) -> None:
    checks = Verdicts((Verdict("release", "countries", "adds up", False), Verdict("release", "x", "holds", True)))
    text = words(release, verdicts=checks)
    assert "1 check of 2 failed: not to be published" in text
    assert "failed countries adds up" in text


def test_a_warning_is_not_called_a_failure(release: PrivateRelease) -> None:
    warned = Verdict("release", "countries", "nothing moved", False, "warning")
    text = words(release, verdicts=Verdicts((Verdict("release", "x", "holds", True), warned)))
    assert "1 check passed, with 1 warning beside" in text
    assert "! warning countries nothing moved" in text
    assert "failed" not in text
    failed = Verdicts((Verdict("release", "x", "adds up", False), warned))
    assert "1 check of 2 failed: not to be published" in words(release, verdicts=failed)


def test_no_check_at_all_is_no_pass(release: PrivateRelease) -> None:
    assert "No check was made" in words(release, verdicts=Verdicts(()))


def test_the_budget_is_shown_where_it_is_given(release: PrivateRelease) -> None:
    budget = BudgetFacts(Population.VISITORS, 10.0, 1e-6, 3.25, 6.75, "the year to 11 October 2026")
    assert "spent ε = 3.25 of 10 at δ = 1e-06; 6.75 is left" in words(release, budget=budget)
    assert "have spent" not in words(release)


def test_a_long_table_shows_its_first_rows_and_folds_the_rest(release: PrivateRelease) -> None:
    keys = tuple(f"key{number:02d}" for number in range(40))
    frame = frame_of({("all",): 40 * 60, **{(key,): 60 for key in keys}}, ("country",), {0: 2.0, 1: 3.0})
    content = report_bytes(whole(with_table(release, "countries", frame)), {}, None).decode()
    before, after = content.split("21 more rows", 1)
    assert "key18" in before
    assert "key19" not in before
    assert "key39" in after


def test_a_table_of_which_nothing_can_be_shown_says_why(release: PrivateRelease) -> None:
    withheld = {group: None for group in COUNTRY_COUNTS if group != ("all other",)}
    nothing = with_table(release, "countries", frame_of(withheld, ("country",), {0: 2.0, 1: 3.0}))
    text = words(nothing)
    assert "Every group of this table had too few visitors" in text
    assert set(draw_charts(whole(nothing))) == {"systems", "sections", "sections/revenue"}


def test_parts_follow_their_total_by_size_and_the_rest_comes_last(release: PrivateRelease) -> None:
    facts = release.header.tables[1]
    rows = ordered(whole(release).tables["systems"], facts)
    places = list(zip(rows["country"], rows["operating_system"], strict=True))
    assert places[:6] == [
        ("all", "all"),
        ("US", "all"),
        ("US", "Android"),
        ("US", "Windows"),
        ("US", "other"),
        ("US", "unknown"),
    ]
    assert places[6:10] == [("DE", "all"), ("DE", "Windows"), ("DE", "Android"), ("DE", "all other")]
    assert places[-1] == ("all other", "all")


def test_a_chart_of_parts_has_a_panel_for_each_of_the_largest_parents(release: PrivateRelease) -> None:
    rows = chart_rows(whole(release).tables["systems"], release.header.tables[1])
    assert list(dict.fromkeys(rows["panel"])) == ["United States", "Germany", "Namibia"]
    assert rows[rows["panel"] == "Germany"]["label"].tolist() == ["Windows", "Android", "all other"]


def test_long_labels_keep_their_own_bars(release: PrivateRelease) -> None:
    keys = ("a very long name of a section, one", "a very long name of a section, two")
    frame = frame_of({("all",): 300, (keys[0],): 200, (keys[1],): 100}, ("country",), {0: 9.0, 1: 9.0})
    chart = draw_charts(whole(with_table(release, "countries", frame)), skip={"sections", "systems"})["countries"]
    assert "a very long name of\u2026<" in chart
    assert "a very long name of\u2026 (2)<" in chart


def test_the_same_release_has_the_same_page(release: PrivateRelease, content: str, verdicts: Verdicts) -> None:
    again = whole(PrivateRelease.from_bytes(release.to_bytes()))
    assert report_bytes(again, draw_charts(again), verdicts).decode() == content


def test_the_reviewers_report_is_written(workspace: Workspace, release: PrivateRelease, verdicts: Verdicts) -> None:
    path = workspace.report("audience_weekly", "2026-W41", 1)
    write_report(path, release, verdicts, None)
    write_report(path, release, verdicts, None)
    assert "Weekly audience" in path.read_text(encoding="utf-8")
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_is_a_clear_error(tmp_path: Path, release: PrivateRelease) -> None:
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(PublicationError, match="reports"):
        write_report(tmp_path / "reports" / "report.html", release, None, None)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("colour", ["ink", "quiet", "link", "good", "bad"])
@pytest.mark.parametrize("ground", ["paper", "band"])
def test_text_stands_out_from_its_ground(content: str, scheme: int, colour: str, ground: str) -> None:
    palette = dict(
        re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", re.findall(r":root \{(.*?)\}", content, re.DOTALL)[scheme])
    )
    light, dark = sorted((_luminance(palette[colour]), _luminance(palette[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def _luminance(colour: str) -> float:
    channels = pd.Series([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = (channels / 12.92).where(channels <= 0.04045, ((channels + 0.055) / 1.055) ** 2.4)
    return float((linear * [0.2126, 0.7152, 0.0722]).sum())
