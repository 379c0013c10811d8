"""The site that a run works on: the sample, or own sources described once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pipeline.errors import SourceError
from pipeline.local import sites
from pipeline.local.run import Ingestion
from pipeline.periods import Period
from pipeline.progress import silent
from pipeline.sample import write_sample
from pipeline.vocabulary import Population


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sources")
    write_sample(home, lines=5_000, visitors=1_000, customers=500)
    return home / "sources"


def described(home: Path, sources: Path) -> tuple[tuple[Ingestion, ...], str]:
    output = io.StringIO()
    console = Console(file=output, width=200)
    found = sites.own_site(home, [f"{sources}/logs/access.log*"], f"{sources}/customers.db", console, silent)
    return found, output.getvalue()


def test_the_same_sources_have_the_same_folder_and_others_another(tmp_path: Path) -> None:
    one = sites.own_home(tmp_path, ["b.log", "a.log"], "x.db")
    assert one == sites.own_home(tmp_path, ["a.log", "b.log"], "x.db")
    assert one != sites.own_home(tmp_path, ["a.log", "b.log"], None)
    assert one.parent == tmp_path


def test_own_sources_are_described_and_their_periods_are_those_of_the_logs(tmp_path: Path, sources: Path) -> None:
    found, told = described(tmp_path, sources)
    assert found == (
        (Population.VISITORS, Period.parse("2026-W41")),
        (Population.VISITORS, Period.parse("2026-W42")),
        (Population.CUSTOMERS, Period.parse("2026-10")),
    )
    assert "column 'email': an e-mail address" in told
    assert {path.name for path in (tmp_path / "releases").iterdir()} == {
        "weekly_visitors.yaml",
        "monthly_customers.yaml",
    }


def test_what_an_engineer_changed_stands_and_nothing_is_described_again(tmp_path: Path, sources: Path) -> None:
    first, _ = described(tmp_path, sources)
    document = yaml.safe_load((tmp_path / "site.yaml").read_text("utf-8"))
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(document | {"contact": "privacy@site.example"}), "utf-8")
    second, told = described(tmp_path, sources)
    assert (second, told) == (first, "")
    assert "privacy@site.example" in (tmp_path / "site.yaml").read_text("utf-8")


def test_sources_that_are_not_there_leave_no_site(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="must match a file"):
        sites.own_site(tmp_path / "own", [f"{tmp_path}/none*.log"], None, Console(quiet=True), silent)
    assert not (tmp_path / "own" / "site.yaml").exists()


def test_the_sample_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def small(home: Path, **_: object) -> None:
        written.append(home)
        write_sample(home, lines=1_000, visitors=100, customers=50)

    monkeypatch.setattr(sites, "write_sample", small)
    first, second = (sites.sample_site(tmp_path, silent) for _ in range(2))
    assert first == second
    assert [str(period) for _, period in first] == ["2026-W41", "2026-W42", "2026-10"]
    assert written == [tmp_path]
