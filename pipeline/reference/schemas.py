"""JSON Schemas (draft 2020-12) of the release specification, the site file and the privacy policy."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from pipeline.delivery.entitlements import Entitlements
from pipeline.documents import Document
from pipeline.policy import Policy
from pipeline.site import SiteFile
from pipeline.spec import ReleaseSpecification

Schema = dict[str, Any]

DIALECT: Final = GenerateJsonSchema.schema_dialect


def release_schema() -> Schema:
    """Schema of a release specification."""
    return _schema(ReleaseSpecification)


def site_schema() -> Schema:
    """Schema of a site file."""
    return _schema(SiteFile)


def entitlements_schema() -> Schema:
    """Schema of a file of entitlements."""
    return _schema(Entitlements)


def policy_schema() -> Schema:
    """Schema of a privacy policy."""
    return _schema(Policy)


def schema_text(schema: Schema) -> str:
    """The schema as the text of a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def words(name: str) -> str:
    """A class's or key's name in words: ``max_groups`` and ``MaxGroups`` are ``Max groups``."""
    found = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).capitalize()
    return re.sub("^(Csv|Url)", lambda word: word[0].upper(), found)


class _Generator(GenerateJsonSchema):
    """Titles in words, and no keyword of other standards."""

    def get_title_from_name(self, name: str) -> str:
        return words(name)

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> Schema:
        found = super().tagged_union_schema(schema)
        found.pop("discriminator", None)  # of OpenAPI; the alternatives differ by a constant anyway
        return found


def _schema(model: type[Document]) -> Schema:
    found = model.model_json_schema(schema_generator=_Generator)
    definitions = found.pop("$defs")
    for definition in (found, *definitions.values()):
        definition["title"] = words(definition["title"])
    closed = _closed(found, definitions)
    return {"$schema": DIALECT, **closed, "$defs": _closed(definitions, definitions)}


def _closed(node: Any, definitions: Schema) -> Any:
    """The same, with descriptions on one line and mappings that refuse other keys than theirs."""
    if isinstance(node, list):
        return [_closed(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _closed(value, definitions) for key, value in node.items()}
    if isinstance(text := found.get("description"), str):
        found["description"] = " ".join(text.replace("``", "`").split())
    if "patternProperties" in found:
        found["additionalProperties"] = False
    names = found.get("propertyNames", {})
    if keys := (definitions[names["$ref"].rpartition("/")[2]] if "$ref" in names else names).get("enum"):
        # Editors complete properties better than they complete names of properties.
        del found["propertyNames"]
        found |= {"properties": dict.fromkeys(keys, found["additionalProperties"]), "additionalProperties": False}
    return found
