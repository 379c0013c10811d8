"""Kinds of files as SQL, run by the real engine."""

from __future__ import annotations

import mimetypes
import re
import time

import duckdb
import pytest

from pipeline.deidentify.file_kinds import ENDINGS, file_kind_case
from pipeline.errors import ConfigurationError
from pipeline.site.visitors import FileKindRule
from pipeline.vocabulary import FILE_KINDS, OTHER
from tests.hostile_texts import HOSTILE

connection = duckdb.connect(config={"threads": 2})


def kind_of(path: str, *rules: FileKindRule) -> str:
    row = connection.execute(f"SELECT {file_kind_case(rules)} FROM (SELECT ? AS path)", [path]).fetchall()[0]
    return str(row[0])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "page"),
        ("/docs", "page"),
        ("/docs/", "page"),
        ("/index.html", "page"),
        ("/INDEX.HTM", "page"),
        ("/shop/list.php", "page"),
        ("/shop/list.aspx", "page"),
        ("/list.jsp;jsessionid=1A2B", "page"),
        ("/v1.2/docs", "page"),
        ("/release-1.2", "page"),
        ("/v2.0-beta", "page"),
        ("/v1.2.x86_64", "page"),
        ("/a.", "page"),
        ("/setup.exe", "download"),
        ("/x-1.2.tar.gz", "download"),
        ("/Setup.MSI", "download"),
        ("/manual.pdf;v=2", "download"),
        ("/prices.xlsx", "download"),
        ("/a.7z", "download"),
        ("/logo.PNG", "image"),
        ("/favicon.ico", "image"),
        ("/a/b.svg", "image"),
        ("/app.min.js", "script"),
        ("/app.7f3a9c.css", "style"),
        ("/f.woff2", "font"),
        ("/intro.mp4", "media"),
        ("/blog.rss", "feed"),
        ("/feed.xml", "feed"),
        ("/blog/Atom.XML", "feed"),
        ("/feed.json", "feed"),
        ("/sitemap.xml", "other"),
        ("/myfeed.xml", "other"),
        ("/robots.txt", "other"),
        ("/api/list.json", "other"),
        ("/.env", "other"),
        ("/.git/config", "page"),
        ("/john.smith", "other"),
        ("/john.smithson", "page"),
        ("/zip", "page"),
        ("/a.zip/b", "page"),
        ("/a;x=b.zip/c", "page"),
        ("", "page"),
    ],
)
def test_the_ending_of_a_name_tells_its_kind(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_the_first_declared_rule_that_matches_goes_before_endings() -> None:
    rules = (
        FileKindRule(kind="trial", paths=("/get/trial*", "/try/*")),
        FileKindRule(kind="download", paths=("/get/*",)),
    )
    assert kind_of("/get/trial.exe", *rules) == "trial"
    assert kind_of("/try/logo.png", *rules) == "trial"
    assert kind_of("/get/latest", *rules) == "download"
    assert kind_of("/other/logo.png", *rules) == "image"


def test_quotes_in_a_rule_are_ordinary() -> None:
    assert kind_of("/it's'; --", FileKindRule(kind="download", paths=("/it's'; --",))) == "download"


def test_a_rule_that_is_no_pattern_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a kind of file must be a shell pattern"):
        file_kind_case([FileKindRule(kind="download", paths=("/[z-a]",))])


def test_endings_are_of_one_kind_each() -> None:
    endings = [ending for kind in ENDINGS.values() for ending in kind.split()]
    assert len(endings) == len(set(endings))
    assert set(ENDINGS) <= set(FILE_KINDS)
    assert all(re.fullmatch("[a-z0-9]+", ending) for ending in endings)


@pytest.mark.parametrize(
    ("kind", "major"), [("image", "image"), ("media", "audio video text/vtt"), ("style", "text/css")]
)
def test_the_lists_agree_with_the_standard_librarys_types(kind: str, major: str) -> None:
    types = mimetypes.MimeTypes().types_map[True]
    ours = {ending: types[f".{ending}"] for ending in ENDINGS[kind].split() if f".{ending}" in types}
    assert ours
    # Lists of streams are applications there.
    assert all(
        found.startswith(tuple(major.split())) for found in ours.values() if not found.endswith(("mpegurl", "dash+xml"))
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_every_path_has_a_kind_of_the_list(text: str) -> None:
    for path in (text, f"/{text}", f"/a.{text}", f"/a.zip;{text}", f"/{text}.zip"):
        assert kind_of(path) in FILE_KINDS
    assert kind_of(f"/{text.replace(';', '')}x.zip") == "download"


def test_a_million_paths_take_a_moment() -> None:
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE paths AS
        SELECT ['/docs/v1.2/page', '/assets/app.js', '/get/x-1.2.tar.gz', '/', '/a/b/c/', '/robots.txt'][i % 6 + 1]
            || CASE WHEN i % 2 = 0 THEN '' ELSE '?' END AS path
        FROM range(1000000) AS numbers(i)""")
    begin = time.perf_counter()
    connection.execute(f"SELECT count({file_kind_case([])}) FROM paths").fetchall()
    assert time.perf_counter() - begin < 2.0  # 0.13 s on a quiet machine; a look-up row by row takes tens of seconds


def test_nothing_on_the_list_of_others_is_a_page() -> None:
    assert {kind_of(f"/a.{ending}") for ending in ENDINGS[OTHER].split()} == {OTHER}
