from __future__ import annotations

import pandas as pd
import pytest

from pipeline.errors import VerificationError
from pipeline.publication.encoding import csv_bytes, escaped, parquet_bytes, read_csv, read_parquet
from pipeline.publication.views import whole
from pipeline.release.artefact import PrivateRelease
from tests.unit.publication.releases import SECTIONS_FACTS, header_of

COUNTRIES = header_of().tables[0]


@pytest.fixture
def sections(release: PrivateRelease) -> pd.DataFrame:
    return whole(release).tables["sections"]


def test_csv_is_what_spreadsheets_expect(sections: pd.DataFrame) -> None:
    content = csv_bytes(sections, SECTIONS_FACTS)
    assert content.startswith(b"\xef\xbb\xbfperiod_start,period_end,section,")
    assert content.count(b"\r\n") == content.count(b"\n") == len(sections) + 1


def test_text_that_a_spreadsheet_would_run_is_escaped(sections: pd.DataFrame) -> None:
    lines = csv_bytes(sections, SECTIONS_FACTS).decode("utf-8-sig").splitlines()
    keys = [line.split(",")[2] for line in lines]
    assert "'=HYPERLINK(1)" in keys
    assert "'-shop" in keys
    assert not [key for key in keys if key.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_each_start_of_a_formula_is_escaped(sections: pd.DataFrame, start: str) -> None:
    frame = sections.assign(section=pd.array([f"{start}1"] * len(sections), dtype="string"))
    assert (escaped(frame, SECTIONS_FACTS)["section"] == f"'{start}1").all()


def test_a_negative_number_is_no_text_and_not_escaped(sections: pd.DataFrame) -> None:
    frame = sections.assign(estimate=-1.5)
    assert b",-1.5," in csv_bytes(frame, SECTIONS_FACTS)


def test_parquet_keeps_text_as_it_is(sections: pd.DataFrame) -> None:
    frame = read_parquet(parquet_bytes(sections, SECTIONS_FACTS), SECTIONS_FACTS)
    assert frame["section"].tolist() == sections["section"].tolist()


@pytest.mark.parametrize("name", ["countries", "systems", "sections"])
def test_parquet_and_csv_hold_the_same_rows(release: PrivateRelease, name: str) -> None:
    frame = whole(release).tables[name]
    facts = next(facts for facts in release.header.tables if facts.name == name)
    read = read_parquet(parquet_bytes(frame, facts), facts)
    assert read_csv(csv_bytes(frame, facts), facts).equals(escaped(read, facts))
    assert read["value"].equals(frame["value"])


def test_namibia_is_no_missing_value(release: PrivateRelease) -> None:
    frame = whole(release).tables["countries"]
    assert "NA" in read_csv(csv_bytes(frame, COUNTRIES), COUNTRIES)["country"].tolist()


def test_equal_tables_have_equal_bytes(sections: pd.DataFrame) -> None:
    assert parquet_bytes(sections, SECTIONS_FACTS) == parquet_bytes(sections.copy(), SECTIONS_FACTS)


def test_other_columns_are_refused(release: PrivateRelease, sections: pd.DataFrame) -> None:
    content = parquet_bytes(sections, SECTIONS_FACTS)
    with pytest.raises(VerificationError, match="columns"):
        read_parquet(content, COUNTRIES)
    with pytest.raises(VerificationError):
        read_csv(csv_bytes(sections, SECTIONS_FACTS), COUNTRIES)


def test_what_is_no_parquet_is_refused() -> None:
    with pytest.raises(VerificationError):
        read_parquet(b"PAR1 but not really", SECTIONS_FACTS)
