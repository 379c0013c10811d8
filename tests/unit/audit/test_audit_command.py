from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from rich.console import Console

from pipeline.audit.auditing import Audit, Line, Terms, audit
from pipeline.cli import main
from pipeline.cli_audit import run_audit
from pipeline.errors import SpecificationError
from pipeline.privacy import noise as noises
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.progress import silent
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind
from tests.builders import site_document, specification_document

TABLES = {
    "tables": [{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
    "audiences": {"partner": ["by_country"]},
}


@pytest.fixture
def one_table(site: SiteFile) -> BoundSpecification:
    return bind(ReleaseSpecification.model_validate(specification_document(**TABLES)), site)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "releases").mkdir()
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site_document()))
    release = tmp_path / "releases" / "weekly.yaml"
    release.write_text(yaml.safe_dump(specification_document(**TABLES)))
    yield tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["releases", "site.yaml"]  # no ledger, no records


def command(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["--home", str(home), "audit", "weekly", "--processes", "1", *arguments])
    return result.exit_code, result.output


def test_an_audit_that_holds_ends_with_0_and_leaves_nothing_behind(home: Path) -> None:
    code, output = command(home, "--rounds", "20", "--confidence", "0.999999")
    assert code == 0, output
    assert "Nothing speaks against what is claimed" in output
    assert "by_country" in output


def test_a_violation_ends_with_2(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteLaplace, "randomiser", lambda _noise: noises._Silent())
    code, output = command(home, "--rounds", "40")
    assert code == 2
    assert "What is claimed does not hold" in output
    assert "VIOLATED" in output


def test_a_table_that_there_is_not_is_refused(home: Path) -> None:
    code, output = command(home, "--table", "nowhere")
    assert code == SpecificationError.exit_code
    assert "by_country" in output


@pytest.mark.parametrize("terms", [Terms(rounds=19), Terms(confidence=1.0), Terms(confidence=0.4)])
def test_terms_that_prove_nothing_are_refused(one_table: BoundSpecification, terms: Terms) -> None:
    with pytest.raises(SpecificationError):
        audit(one_table, terms)


def test_progress_tells_of_releases(one_table: BoundSpecification) -> None:
    told: list[tuple[int, int | None]] = []
    audit(
        one_table, Terms(20, inputs=frozenset({"few"})), progress=lambda _what, done, total: told.append((done, total))
    )
    assert told[-1] == (40, 40)


def test_a_violation_is_told_with_its_bound() -> None:
    line = Line("by_country, in total", "1 more", 0.5, 1e-5, 2.0, True, "")
    found = Audit((line,), 0.95, 10, 5, 0, 0, asked=False)
    assert found.violated
    assert "epsilon is above 2.00 at delta 1e-05, claimed is 0.50" in found.sentence()


@pytest.mark.parametrize(("wrong", "unequal"), [(1, 0), (0, 1)])
def test_what_is_certain_needs_no_statistics(wrong: int, unequal: int) -> None:
    assert Audit((), 0.95, 10, 5, wrong, unequal, asked=True).violated


def test_two_processes_find_what_one_does(one_table: BoundSpecification) -> None:
    console = Console(record=True, width=200, quiet=True)
    assert run_audit(one_table, Terms(20, 0.999999, inputs=frozenset({"few"})), 2, console, silent)
