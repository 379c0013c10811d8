"""The sample as a whole: what it writes, that it writes the same again, and what it refuses."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.sample import SampleSummary, write_sample
from pipeline.sample.site_file import POLICY_FILE, SITE_FILE
from pipeline.site import load_site
from pipeline.vocabulary import Population

SMALL: dict[str, Any] = {"lines": 1_000, "visitors": 50, "customers": 50}


def _digests(home: Path) -> dict[str, str]:
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_the_site_file_loads_and_says_that_it_is_synthetic(home: Path) -> None:
    site = load_site(home / "site.yaml")
    assert site.synthetic
    assert set(site.budget) == set(Population)
    assert "SYNTHETIC" in (home / "site.yaml").read_text().splitlines()[0]


def test_the_site_file_names_sources_that_are_there(home: Path) -> None:
    site = load_site(home / "site.yaml")
    assert site.visitors is not None
    assert len(list(home.glob(site.visitors.log_sources[0].paths[0]))) == 14
    assert {path.name for path in (home / "sources").iterdir()} == {
        "README.txt", "customers.db", "logs", "orders.csv", "sample.json",
    }  # fmt: skip


def test_the_folder_says_what_it_was_made_from(home: Path) -> None:
    text = (home / "sources" / "README.txt").read_text()
    record = json.loads((home / "sources" / "sample.json").read_text())
    assert "Everything in this folder is synthetic" in text
    assert "seed 20261005" in text
    assert (record["seed"], record["lines"], record["visitors"], record["customers"]) == (20261005, 5_000, 400, 600)


def test_the_same_seed_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, lines=5_000, visitors=400, customers=600)
    assert _digests(tmp_path) == _digests(home)


def test_another_seed_gives_other_visitors_and_customers(home: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, seed=7, lines=5_000, visitors=400, customers=600)
    ours, theirs = _digests(home), _digests(tmp_path)
    assert {name for name in ours if ours[name] == theirs[name]} == {"entitlements.yaml", "policy.yaml", "site.yaml"}


def test_a_sample_is_replaced_by_another(tmp_path: Path) -> None:
    write_sample(tmp_path, **SMALL, seed=1)
    before = _digests(tmp_path)
    write_sample(tmp_path, **SMALL, seed=2)
    assert _digests(tmp_path) != before
    write_sample(tmp_path, **SMALL, seed=1)
    assert _digests(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"entitlements.yaml", "policy.yaml", "site.yaml", "sources"}


def test_progress_ends_with_all_lines(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    write_sample(tmp_path, **SMALL, progress=lambda *step: told.append(step))
    logs = [step for step in told if step[0] == "writing access logs"]
    assert len(logs) == 14
    assert logs[-1] == ("writing access logs", 1_000, 1_000)


def test_somebodys_sources_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "real.log").write_text("precious")
    with pytest.raises(ConfigurationError, match="may only replace what it has written itself"):
        write_sample(tmp_path, **SMALL)
    assert _digests(tmp_path).keys() == {"sources/real.log"}


@pytest.mark.parametrize("name", ["site.yaml", "policy.yaml"])
def test_a_file_that_was_changed_is_left_alone(tmp_path: Path, name: str) -> None:
    write_sample(tmp_path, **SMALL)
    changed = tmp_path / name
    changed.write_text(changed.read_text() + "# mine\n")
    with pytest.raises(ConfigurationError, match=re.escape(name)):
        write_sample(tmp_path, **SMALL, seed=2)
    assert changed.read_text().endswith("# mine\n")


def test_files_of_an_earlier_version_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("pipeline.sample.site.SITE_FILE", SITE_FILE + "# earlier\n")
        earlier.setattr("pipeline.sample.site.POLICY_FILE", POLICY_FILE + "# earlier\n")
        write_sample(tmp_path, **SMALL)
    write_sample(tmp_path, **SMALL)
    assert (tmp_path / "site.yaml").read_text() == SITE_FILE
    assert (tmp_path / "policy.yaml").read_text() == POLICY_FILE


def test_a_sample_from_before_there_was_a_policy_is_replaced(tmp_path: Path) -> None:
    write_sample(tmp_path, **SMALL)
    (tmp_path / "policy.yaml").unlink()
    record = tmp_path / "sources" / "sample.json"
    record.write_text(
        json.dumps({key: v for key, v in json.loads(record.read_text()).items() if key != "policy_sha256"})
    )
    write_sample(tmp_path, **SMALL)
    assert (tmp_path / "policy.yaml").read_text() == POLICY_FILE


def test_a_run_that_fails_leaves_the_sample_that_was_there(tmp_path: Path) -> None:
    write_sample(tmp_path, **SMALL)
    before = _digests(tmp_path)

    def interrupt(_what: str, done: int, _total: int | None) -> None:
        if done > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, **SMALL, seed=2, progress=interrupt)
    assert _digests(tmp_path) == before


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    for name in (".sources.draft", ".sources.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("half a file")
    write_sample(tmp_path, **SMALL)
    assert {path.name for path in tmp_path.iterdir()} == {"entitlements.yaml", "policy.yaml", "site.yaml", "sources"}


def test_a_folder_that_cannot_be_written_to_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="with permission and room"):
        write_sample(Path("/proc/site"), **SMALL)  # not even root may make a folder there


def test_a_file_in_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for home in (tmp_path / "taken", tmp_path / "taken" / "site"):
        with pytest.raises(ConfigurationError, match="with permission and room"):
            write_sample(home, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lines": 999}, "lines must be a whole number from 1,000"),
        ({"lines": 10**9}, "lines must be a whole number from 1,000"),
        ({"visitors": 501}, "visitors must be a whole number from 10 to 500"),
        ({"visitors": 9}, "visitors must be a whole number from 10"),
        ({"customers": 0}, "customers must be a whole number from 10"),
        ({"seed": -1}, "seed must be a whole number from 0"),
    ],
)
def test_sizes_out_of_range_are_refused_before_anything_is_written(
    wrong: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        write_sample(tmp_path / "site", **{**SMALL, **wrong})
    assert not (tmp_path / "site").exists()


def test_the_smallest_sample_is_possible(tmp_path: Path) -> None:
    summary = write_sample(tmp_path, lines=1_000, visitors=500, customers=10)
    assert isinstance(summary, SampleSummary)
    assert (summary.orders, summary.files) == (15, 14)
