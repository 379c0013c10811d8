"""Reading the product's YAML documents into validated, frozen models."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import DemographicsError


class Document(BaseModel):
    """Base of every model that is read from YAML: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Model = TypeVar("Model", bound=Document)


class _OnceEach(yaml.SafeLoader):
    """Refuses a key that a mapping has twice: a person may read the first one, and YAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(problem="a key is there twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> object:
    """What a YAML document says, without any object of a program.

    Raises:
        yaml.YAMLError: It is no YAML, or a mapping in it has a key twice.
    """
    return yaml.load(text, _OnceEach)  # noqa: S506  a safe loader


def load(path: Path, model: type[Model], error: type[DemographicsError]) -> Model:
    """Read one YAML document.

    Raises:
        DemographicsError: Of the class ``error``: the file is missing, is no YAML mapping, or breaks the model;
            every broken rule is named with its place.
    """
    kind = model.__name__
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise error(
            f"{kind} must be a readable UTF-8 file",
            value=f"{path} ({type(failure).__name__})",
            remedy="Check the path and its permissions.",
        ) from None
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        rule = f"{path.name} must be valid YAML, with each key once{place}"
        raise error(rule, remedy="Correct the syntax there.") from None
    if not isinstance(content, dict):
        raise error(f"{path.name} must hold a mapping of keys", value=type(content).__name__, remedy="See docs/.")
    return parse(content, model, error, path.name)


def parse(content: dict[str, object], model: type[Model], error: type[DemographicsError], name: str) -> Model:
    """Validate a mapping that was read already; see ``load``."""
    try:
        return model.model_validate(content)
    except ValidationError as failure:
        problems = "; ".join(_problem(item) for item in failure.errors())
        raise error(f"{name} breaks {failure.error_count()} rule(s): {problems}", remedy="Correct these.") from None


def _problem(item: object) -> str:
    assert isinstance(item, dict)
    place = ".".join(str(part) for part in item["loc"]) or "the document"
    message = str(item["msg"]).removeprefix("Value error, ").removesuffix(".")
    value = item.get("input")
    shown = f", got {value!r}" if isinstance(value, str | int | float | bool) and item["type"] != "missing" else ""
    return f"{place}: {message[:1].lower() + message[1:]}{shown}"
