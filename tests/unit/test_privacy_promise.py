"""The page on the promise names tests that there are."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "privacy-promise.md").read_text("utf-8")


def test_every_test_that_the_promise_names_is_there() -> None:
    sources = (path.read_text("utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))
    there = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named <= there, named - there


def test_every_bad_input_names_a_test_that_shows_its_outcome() -> None:
    table = PAGE.partition("## Bad input and its outcome")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| input")]
    assert len(rows) > 15
    assert all("`test_" in row.split("|")[3] for row in rows)
