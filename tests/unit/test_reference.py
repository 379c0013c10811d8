import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from pipeline import cli
from pipeline.documents import Document
from pipeline.errors import ConfigurationError
from pipeline.policy import Policy, load_policy, require_covered
from pipeline.reference import check_reference, reference_files, write_reference
from pipeline.reference.example import (
    POLICY_TEXT,
    RELEASE_TEXT,
    SEEN_BY_CHECK,
    SEEN_BY_EDITORS,
    SITE_TEXT,
    TODAY,
    Break,
)
from pipeline.reference.page import EVERYTHING, MEANINGS, specification_page
from pipeline.reference.schemas import entitlements_schema, policy_schema, release_schema, site_schema
from pipeline.sample.site_file import POLICY_FILE, SITE_FILE
from pipeline.site import CustomerColumn, SiteFile, load_site
from pipeline.site.dimensions import visitor_dimensions
from pipeline.spec import ReleaseSpecification, bind, load_specification
from pipeline.vocabulary import Audience
from tests.builders import WEEK, site_document, specification_document

DOCS = cli.PROJECT / "docs"
FILES = [
    "schema/entitlements.schema.json",
    "schema/policy.schema.json",
    "schema/release.schema.json",
    "schema/site.schema.json",
    "settings.md",
    "specification.md",
]
RELEASES = sorted((cli.PROJECT / "dags" / "releases").glob("*.yaml"))
RELEASE = jsonschema.Draft202012Validator(release_schema())
SITE = jsonschema.Draft202012Validator(site_schema())
VALIDATORS = {"release": RELEASE, "site": SITE, "policy": jsonschema.Draft202012Validator(policy_schema())}


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and all that its fields lead to."""

    def under(annotation: Any) -> Iterator[type[BaseModel]]:
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            yield from models(annotation)
        for part in get_args(annotation):
            yield from under(part)

    yield model
    for field in model.model_fields.values():
        yield from under(field.annotation)


def documents() -> list[type[BaseModel]]:
    return [*dict.fromkeys((*models(ReleaseSpecification), *models(SiteFile), *models(Policy)))]


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object that a schema describes."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for child in node.values():
            yield from objects(child)
    elif isinstance(node, list):
        for child in node:
            yield from objects(child)


def accepts(validator: Any, document: object) -> bool:
    # Editors read a date as text.
    return bool(validator.is_valid(json.loads(json.dumps(document, default=str))))


def test_the_files_are_the_page_and_a_schema_for_each_kind_of_document() -> None:
    assert sorted(reference_files()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_committed_file_says_what_the_models_say(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == reference_files()[name], "run: demographics reference --write"


@pytest.mark.parametrize("model", documents(), ids=lambda model: model.__name__)
def test_every_key_and_model_is_described(model: type[Document]) -> None:
    assert inspect.getdoc(model)
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    "schema",
    [release_schema(), site_schema(), policy_schema(), entitlements_schema()],
    ids=["release", "site", "policy", "entitlements"],
)
class TestEachSchema:
    def test_it_is_valid(self, schema: dict[str, Any]) -> None:
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        jsonschema.Draft202012Validator.check_schema(schema)

    def test_every_key_has_a_description_and_a_title_in_words(self, schema: dict[str, Any]) -> None:
        for model in (schema, *(node for node in schema["$defs"].values() if "properties" in node)):
            assert re.fullmatch(r"[A-Z][A-Za-z ]+", model["title"])
            assert [key for key, node in model["properties"].items() if not node.get("description")] == []

    def test_every_object_is_closed(self, schema: dict[str, Any]) -> None:
        assert all(node["additionalProperties"] is False for node in objects(schema))

    def test_no_text_is_marked_up_for_another_reader(self, schema: dict[str, Any]) -> None:
        assert "``" not in json.dumps(schema)


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.stem)
def test_the_specifications_that_are_there_are_accepted_and_name_their_schema(path: Path) -> None:
    text = path.read_text("utf-8")
    RELEASE.validate(yaml.safe_load(text))
    schema = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", text.splitlines()[0])
    assert schema is not None
    assert (path.parent / schema[1]).resolve() == DOCS / "schema" / "release.schema.json"


def test_the_site_file_and_the_policy_of_the_sample_are_accepted() -> None:
    SITE.validate(yaml.safe_load(SITE_FILE))
    assert accepts(VALIDATORS["policy"], yaml.safe_load(POLICY_FILE))


def test_the_documents_of_other_tests_are_accepted() -> None:
    RELEASE.validate(specification_document())
    SITE.validate(site_document())


@pytest.mark.parametrize("broken", SEEN_BY_EDITORS, ids=lambda broken: broken.rule)
def test_what_breaks_a_rule_of_the_schema_is_refused_by_it_and_by_the_program(broken: Break) -> None:
    assert not accepts(VALIDATORS[broken.of], broken.document())
    assert broken.message()


@pytest.mark.parametrize("broken", SEEN_BY_CHECK, ids=lambda broken: broken.rule)
def test_what_no_schema_can_see_is_refused_by_the_program(broken: Break) -> None:
    assert accepts(VALIDATORS[broken.of], broken.document())
    assert broken.message()


@pytest.mark.parametrize(
    "privacy",
    [
        {"epsilon": -1, "delta": 1e-7, "k": 50},
        {"epsilon": 1, "delta": 0, "k": 50},
        {"epsilon": 1, "delta": 1.5, "k": 50},
        {"epsilon": 1, "delta": 1e-7, "k": 2.5},
        {"epsilon": 1, "delta": 1e-7, "k": 1_000_001},
        {"epsilon": 1, "delta": 1e-7},
        {"epsilon": 1, "delta": 1e-7, "k": 50, "mechanism": "none"},
    ],
)
def test_privacy_parameters_out_of_bounds_are_refused(privacy: dict[str, float]) -> None:
    assert not accepts(RELEASE, specification_document(privacy=privacy))


def test_audiences_are_completed_by_name() -> None:
    assert list(release_schema()["properties"]["audiences"]["properties"]) == list(Audience)


@pytest.mark.parametrize("place", [("title",), ("owner",)])
def test_a_rule_that_does_not_hold_any_more_is_noticed(place: tuple[str]) -> None:
    # A title may be anything, and an owner that is empty breaks another rule.
    with pytest.raises(ValueError, match="no such rule refuses this: titles are free"):
        Break("titles are free", "title must", place, "Another" if place == ("title",) else "").message()


def test_the_example_on_the_page_loads_and_binds(tmp_path: Path) -> None:
    listings = dict(
        re.findall(r"`(\w+\.yaml)`:\n\n```yaml\n(.*?)```", (DOCS / "specification.md").read_text(), re.DOTALL)
    )
    assert list(listings.values()) == [SITE_TEXT, POLICY_TEXT, RELEASE_TEXT]
    for name, text in listings.items():
        (tmp_path / name).write_text(text, "utf-8")
    bound = bind(load_specification(tmp_path / "weekly_countries.yaml"), load_site(tmp_path / "site.yaml"))
    assert [table.max_groups for table in bound.tables] == [1, 1, 2]
    assert require_covered(load_policy(tmp_path / "policy.yaml"), bound.specification, WEEK, TODAY).version == "2026-03"


def test_the_example_has_every_kind_of_customer_column() -> None:
    kinds = {get_args(column.model_fields["kind"].annotation)[0] for column in get_args(get_args(CustomerColumn)[0])}
    shown = yaml.safe_load(SITE_TEXT)["customers"]["dimensions"].values()
    assert {column["kind"] for column in shown} == kinds


def test_every_dimension_of_visitors_is_explained_and_nothing_else() -> None:
    dimensions = visitor_dimensions(EVERYTHING)
    assert set(MEANINGS) == set(dimensions)
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (needed|left out) \|$", specification_page(), re.MULTILINE))
    told = {name: rows[name] == "left out" for name in dimensions}
    # The customers' table comes later and has a kind of the same name, which agrees.
    assert told == {name: dimension.per_person for name, dimension in dimensions.items()}


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    page = specification_page()
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for block in re.findall(r"(?:^\|.*\n)+", specification_page(), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_a_stale_file_is_told_and_writing_brings_it_up_to_date(tmp_path: Path) -> None:
    write_reference(tmp_path)
    check_reference(tmp_path)
    (tmp_path / "specification.md").write_text("old")
    (tmp_path / "schema" / "site.schema.json").unlink()
    with pytest.raises(ConfigurationError, match=r"other text in schema/site\.schema\.json, specification\.md\. Run: "):
        check_reference(tmp_path)
    write_reference(tmp_path)
    check_reference(tmp_path)


def test_writing_makes_no_folder_of_documents_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="clone of the project"):
        write_reference(tmp_path / "docs")
    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_an_error_while_a_file_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(cli, "PROJECT", tmp_path)
    call = CliRunner().invoke
    assert call(cli.main, ["reference"]).exit_code == ConfigurationError.exit_code
    assert call(cli.main, ["reference", "--write"]).exit_code == 0
    assert call(cli.main, ["reference", "--check"]).exit_code == 0
