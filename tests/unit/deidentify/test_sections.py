"""Path rules as SQL, run by the real engine."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deidentify.sections import section_case
from pipeline.errors import ConfigurationError
from pipeline.site import SectionRule

connection = duckdb.connect()


def rules(**paths: Sequence[str]) -> list[SectionRule]:
    return [SectionRule(section=section, paths=tuple(patterns)) for section, patterns in paths.items()]


def section_of(path: str, declared: Sequence[SectionRule]) -> str:
    row = connection.execute(f"SELECT {section_case(declared)} FROM (SELECT ? AS path)", [path]).fetchall()[0]
    return str(row[0])


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/docs/a/b", "docs"),
        ("/docs", "other"),
        ("/docs/api/x", "docs"),
        ("/api/x", "api"),
        ("/x/docs/", "other"),
        ("/DOCS/a", "other"),
        ("", "other"),
    ],
)
def test_the_first_rule_that_matches_names_the_section(path: str, section: str) -> None:
    assert section_of(path, rules(docs=["/docs/*"], api=["/api/*", "/docs/api/*"])) == section


def test_without_rules_every_path_is_other() -> None:
    assert section_of("/a", []) == "other"


@pytest.mark.parametrize("pattern", ["/it's/*", "/a'; DROP TABLE x; --*", "/100%/*", "/a_b", "/a\\b*", "/[x]%'?"])
def test_special_characters_of_sql_are_ordinary_in_a_pattern(pattern: str) -> None:
    matching = pattern.replace("*", "anything").replace("[x]", "x").replace("?", "y")
    assert section_of(matching, rules(found=[pattern])) == "found"
    assert section_of("/other", rules(found=[pattern])) == "other"


def test_underscore_and_percent_match_only_themselves() -> None:
    assert section_of("/axb", rules(found=["/a_b"])) == "other"
    assert section_of("/axxb", rules(found=["/a%b"])) == "other"


def test_a_descending_range_is_refused_with_its_pattern() -> None:
    with pytest.raises(ConfigurationError, match=r"must be a shell pattern, got '/\[z-a\]'"):
        section_case(rules(found=["/[z-a]"]))


@settings(max_examples=400, deadline=None)
@given(st.text("/ab*?[]!^-\\.%_'é", max_size=10), st.text("/ab[]!^-\\.%_'é\n", max_size=8))
def test_patterns_match_as_shell_patterns_do(pattern: str, path: str) -> None:
    try:
        section_case(rules(found=[pattern]))
    except ConfigurationError:
        return  # a descending range, which the shell takes for an empty one
    assert (section_of(path, rules(found=[pattern])) == "found") == fnmatchcase(path, pattern)
