"""A first site from real input that lies outside the project; left out where it is not there."""

from pathlib import Path

import pytest

from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.visitors import stage_visitors
from pipeline.onboarding.first_site import OnboardingReport, write_first_site
from pipeline.periods import Period
from pipeline.site import load_site
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.real_data.folder import FOLDER

pytestmark = pytest.mark.real_data


def first_site(home: Path, customers: str) -> OnboardingReport:
    return write_first_site(home, [str(FOLDER / "logs" / "apache_combined.log")], str(FOLDER / "customers" / customers))


def test_real_logs_and_a_small_database_become_a_site(tmp_path: Path) -> None:
    report = first_site(tmp_path, "chinook.sqlite")
    site = load_site(report.site_file)
    assert site.customers is not None
    assert list(site.customers.dimensions) == ["country"]
    assert site.customers.person == "CustomerId"
    assert site.visitors is not None
    assert "blog" in [rule.section for rule in site.visitors.sections]
    assert report.periods[Population.VISITORS] == (Period.parse("2015-W20"), Period.parse("2015-W21"))
    staging = stage_customers(Workspace(tmp_path), site, report.periods[Population.CUSTOMERS][0])
    assert staging.manifest.sources["customers"].used == 59


@pytest.mark.parametrize(
    ("name", "period", "most"),
    [("apache_combined", "2015-W21", 10_000), ("nginx_combined", "2021-W46", 1_000),
     ("combined_with_malformed_lines", "2015-W20", 889)],
)  # fmt: skip
def test_real_logs_are_staged_by_their_first_site(tmp_path: Path, name: str, period: str, most: int) -> None:
    report = write_first_site(tmp_path, [str(FOLDER / "logs" / f"{name}.log")], None)
    staging = stage_visitors(Workspace(tmp_path), load_site(report.site_file), Period.parse(period))
    counts = staging.manifest.sources["visitor logs"]
    assert counts.read == most
    assert counts.used > 0
    assert sum(counts.rejected.values()) <= 4


def test_a_real_file_of_customers_is_staged_whole(tmp_path: Path) -> None:
    report = first_site(tmp_path, "AdventureWorks_Customers.csv")
    site = load_site(report.site_file)
    assert site.customers is not None
    assert set(site.customers.dimensions) == {
        "marital_status", "gender", "annual_income", "total_children", "education_level", "occupation", "home_owner",
    }  # fmt: skip
    staging = stage_customers(Workspace(tmp_path), site, report.periods[Population.CUSTOMERS][0])
    counts = staging.manifest.sources["customers"]
    assert (counts.used, counts.rejected) == (18_148, {})
