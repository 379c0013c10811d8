from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ConfigurationError, SpecificationError
from pipeline.site import SiteFile, load_site
from pipeline.spec import ReleaseSpecification, bind, load_specification, load_specifications
from tests.builders import site_document, specification_document


def write(folder: Path, document: object, name: str = "weekly.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


def table(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "by_country", "title": "By country", "dimensions": ["country"]} | changes]


YEARS = {"kind": "year", "column": "since", "title": "Since", "first": 2020, "last": 2026}
TABLE = {"kind": "csv", "path": "x.csv"}
ORDERS = {"source": TABLE, "person": "id", "placed": "at", "product": "what", "products": ["Studio"]}


def customers(**changes: Any) -> dict[str, Any]:
    cap = {"epsilon": 30, "delta": 1e-5}
    source = {"source": TABLE, "person": "id", "dimensions": {"year": YEARS}} | changes
    return {"customers": source, "budget": {"visitors": cap, "customers": cap}}


TURNED = {"name": "turned", "title": "Turned", "dimensions": ["browser", "country", "language"]}


def test_a_valid_specification_loads_and_binds(tmp_path: Path, site: SiteFile) -> None:
    bound = bind(load_specification(write(tmp_path, specification_document())), site)
    assert [one.max_groups for one in bound.tables] == [1, 1, 2]
    assert bound.specification.unit == "one visitor in one week"


def test_its_digest_does_not_depend_on_layout(tmp_path: Path) -> None:
    document = specification_document()
    path = write(tmp_path, document)
    first = load_specification(path).sha256
    path.write_text("# a comment\n" + yaml.safe_dump(document, sort_keys=True, indent=8), "utf-8")
    assert load_specification(path).sha256 == first


def requests(**bounds: float) -> dict[str, Any]:
    return {"kind": "events", "name": "requests", "title": "Requests", **bounds}


def mean(of: str, per: str) -> dict[str, str]:
    return {"kind": "mean", "name": "each", "title": "Each", "of": of, "per": per}


SUM = {"kind": "sum", "name": "bytes", "title": "Bytes", "of": "bytes", "max_per_group": 1}
PRIVATE = table(private_keys=["country"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"privacy": {"epsilon": 0, "delta": 1e-7, "k": 50}}, "epsilon must be a positive, finite number"),
        ({"privacy": {"epsilon": -1, "delta": 1e-7, "k": 50}}, "epsilon must be a positive"),
        ({"privacy": {"epsilon": float("nan"), "delta": 1e-7, "k": 50}}, "epsilon must be a positive"),
        ({"privacy": {"epsilon": float("inf"), "delta": 1e-7, "k": 50}}, "epsilon must be a positive"),
        ({"privacy": {"epsilon": 1, "delta": 0, "k": 50}}, "delta must lie strictly between 0 and 1"),
        ({"privacy": {"epsilon": 1, "delta": 1.5, "k": 50}}, "delta must lie strictly between 0 and 1"),
        ({"privacy": {"epsilon": 1, "delta": float("nan"), "k": 50}}, "delta must lie strictly between 0 and 1"),
        ({"privacy": {"epsilon": 1, "delta": 1e-7, "k": 1}}, "k must be a whole number from 2"),
        ({"privacy": {"epsilon": 1, "delta": 1e-7, "k": 2.5}}, "privacy.k"),
        ({"audiences": {"press": ["by_country"]}}, "'press'|partner"),
        ({"audiences": {"partner": ["by_planet"]}}, "names tables that do not exist: by_planet"),
        ({"audiences": {}}, "audiences"),
        ({"population": "employees"}, "population"),
        ({"tables": []}, "tables"),
        ({"tables": table() + table()}, "repeated: by_country"),
        ({"tables": table(dimensions=["country", "country"])}, "once only"),
        ({"tables": table(dimensions=["section"], max_groups=0)}, r"max_groups.*greater than or equal to 1"),
        ({"tables": table(dimensions=["section"], max_groups=-1)}, r"max_groups.*greater than or equal to 1"),
        ({"colour": "blue"}, "colour"),
        ({"privacy": {"epsilon": 1, "delta": 0, "k": 50}, "tables": PRIVATE}, "delta must lie strictly"),
        ({"privacy": {"epsilon": 1, "delta": 1e-7, "k": 50, "noise": "Gauss"}}, "privacy.noise"),
        ({"tables": table(measures=[requests()])}, "must have max_per_group or max_in_all"),
        ({"tables": table(measures=[requests(max_per_group=1, max_in_all=1)])}, "and not both"),
        ({"tables": table(measures=[requests(max_per_group=0)])}, r"max_per_group.*greater than or equal to 1"),
        ({"tables": table(measures=[requests(max_in_all=-5)])}, r"max_in_all.*greater than or equal to 1"),
        ({"tables": table(measures=[requests(max_per_group=10**9 + 1)])}, r"max_per_group.*less than or equal to 10+"),
        ({"tables": table(measures=[requests(max_per_group=float("nan"))])}, "max_per_group"),
        ({"tables": table(weight=0)}, r"weight.*greater than 0"),
        ({"tables": table(weight=float("nan"))}, "weight"),
    ],
)
def test_each_broken_rule_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        load_specification(write(tmp_path, specification_document(**changes)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables": table(dimensions=["planet"])}, "got planet. Use some of: browser, country"),
        ({"tables": table(dimensions=["section"])}, "max_groups must be set"),
        ({"tables": table(max_groups=3)}, "max_groups must be left out"),
        ({"period": "month"}, "got period=month. Set period to week"),
        ({"privacy": {"epsilon": 31, "delta": 1e-7, "k": 50}}, "yearly cap for visitors"),
        ({"privacy": {"epsilon": 1, "delta": 1e-4, "k": 50}}, "yearly cap for visitors"),
        ({"population": "customers"}, "must declare customers"),
        ({"tables": table(private_keys=["browser"])}, "private_keys must name dimensions of the table"),
        ({"tables": [*PRIVATE, *table(name="open")]}, "table open: keys that are private in one table"),
        ({"tables": table(measures=[SUM])}, "quantity that the site offers, got bytes. Use some of: events"),
        ({"tables": table(measures=[{**SUM, "of": "events"}])}, "quantity that the site offers, got events"),
        ({"tables": table(measures=[{**SUM, "name": "people", "of": "events"}])}, "names of measures must differ"),
        ({"tables": table(measures=[mean("requests", "people")])}, "a mean must be of events or a sum"),
        ({"tables": table(measures=[requests(max_in_all=1), mean("people", "requests")])}, "got people per requests"),
        ({"tables": table(measures=[requests(max_per_group=1), mean("requests", "requests")])}, "a mean must be"),
        (
            {"tables": [*table(dimensions=["country", "browser"]), TURNED]},
            "browser, country here and country, browser before",
        ),
    ],
)
def test_what_does_not_fit_the_site_is_refused(changes: dict[str, Any], message: str, site: SiteFile) -> None:
    document = specification_document(audiences={"partner": ["by_country"]}) | changes
    with pytest.raises(ConfigurationError, match=message):
        bind(ReleaseSpecification.model_validate(document), site)


def test_several_broken_rules_are_told_at_once(tmp_path: Path) -> None:
    document = specification_document(period="year", population="employees")
    with pytest.raises(SpecificationError, match=r"breaks 2 rule\(s\).*population.*period"):
        load_specification(write(tmp_path, document))


@pytest.mark.parametrize("content", ["tables: [", "- a\n- b\n", "", "release: *unknown"])
def test_what_is_no_mapping_in_yaml_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "weekly.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(SpecificationError, match=r"weekly\.yaml must"):
        load_specification(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="FileNotFoundError"):
        load_specification(tmp_path / "weekly.yaml")


def test_a_file_is_named_as_its_release(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match=r"weekly\.yaml, got other\.yaml"):
        load_specification(write(tmp_path, specification_document(), "other.yaml"))


def test_a_folder_without_specifications_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="at least one"):
        load_specifications(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_zone": "Mars/Olympus"}, "IANA"),
        ({"budget": {}}, "cap for visitors"),
        ({"visitors": None}, "at least one of visitors and customers"),
        ({"budget": {"visitors": {"epsilon": 0, "delta": 1e-5}}}, "greater than 0"),
        ({"cookies": True}, "cookies"),
        ({"visitors": {"logs": ["x"], "sections": [{"section": "all", "paths": ["/*"]}]}}, "kept for totals"),
        ({"visitors": {"logs": ["x"], "referrer_domains": ["all other"]}}, "kept for totals"),
        (customers(dimensions={"year": YEARS | {"first": 2027}}), "first must not be after last"),
        (customers(dimensions={"product": YEARS}, orders=ORDERS), "comes from the orders"),
    ],
)
def test_a_broken_site_file_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_site(write(tmp_path, site_document() | changes, "site.yaml"))
