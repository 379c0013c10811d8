"""A node of a JSON Schema in words: its type, bounds and default, as cells of a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from pipeline.policy import VERSION_PATTERN
from pipeline.reference.schemas import Schema
from pipeline.site import COUNTRY_PATTERN, CURRENCY_PATTERN
from pipeline.vocabulary import KEY_PATTERN, NAME_PATTERN

_PATTERNS: Final = {
    NAME_PATTERN: "[name](#names-and-keys)",
    KEY_PATTERN: "[key](#names-and-keys)",
    CURRENCY_PATTERN: "three capital letters",
    COUNTRY_PATTERN: "two capital letters",
    VERSION_PATTERN: "1 to 40 letters, digits, dots, hyphens and underscores",
}
_FORMATS: Final = {
    "date": "date (`2026-03-01`)",
    "ipv4network": "IPv4 network (`10.0.0.0/8`)",
    "ipv6network": "IPv6 network (`2001:db8::/32`)",
}
_LONGEST_DEFAULT: Final = 5
_GROUPED_FROM: Final = 10_000  # years have no comma


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(value: object) -> str:
    """A value as it is written in YAML, marked as code."""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def type_words(node: Schema, definitions: Schema) -> str:
    """Type and bounds of a value; models are linked to their section.

    Raises:
        KeyError: The schema has something that this does not know how to say.
    """
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return type_words(target, definitions) if "enum" in target else _link(target["title"])
    if "const" in node:
        return code(node["const"])
    if "enum" in node:
        return f"one of {', '.join(map(code, node['enum']))}"
    if choices := node.get("oneOf", node.get("anyOf")):
        return " or ".join(type_words(choice, definitions) for choice in choices if choice.get("type") != "null")
    return _BY_TYPE[node["type"]](node, definitions)


def default_words(name: str, node: Schema, model: Schema) -> str:
    """What holds where the key is left out."""
    if name in model.get("required", ()):
        return "required"
    default = node["default"]
    if default in (None, "", [], {}) or (isinstance(default, dict) and set(default.values()) == {None}):
        return "none"
    if isinstance(default, list) and len(default) > _LONGEST_DEFAULT:
        return f"a list of {len(default)}"
    return code(default)


def _link(title: str) -> str:
    first, *others = title.split(" ")
    shown = " ".join((first if first.isupper() else first.lower(), *others))
    return f"[{shown}](#{title.lower().replace(' ', '-')})"


def _text(node: Schema, _definitions: Schema) -> str:
    if "pattern" in node:
        return _PATTERNS[node["pattern"]]
    if "format" in node:
        return _FORMATS[node["format"]]
    least, most = node.get("minLength", 0), node.get("maxLength")
    if most is None:
        return "text, not empty" if least else "text"
    return "one character" if most == 1 else f"text, {least} to {most} characters"


def _number(node: Schema, _definitions: Schema) -> str:
    kind = "whole number" if node["type"] == "integer" else "number"
    bounds = [
        f"{says} {_figure(node[keyword])}"
        for keyword, says in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if keyword in node
    ]
    return ", ".join((kind, *bounds))


def _figure(value: int | float) -> str:
    return f"{value:,}" if value >= _GROUPED_FROM else str(value)


def _list(node: Schema, definitions: Schema) -> str:
    if each := node.get("prefixItems"):
        return f"list of {len(each)}: {type_words(each[0], definitions)}"
    least, most = node.get("minItems", 0), node.get("maxItems")
    count = f" of {least} to {most}" if most else " of 1 or more" if least else ""
    once = ", none twice" if node.get("uniqueItems") else ""
    return f"list{count}: {type_words(node['items'], definitions)}{once}"


def _mapping(node: Schema, definitions: Schema) -> str:
    if names := node.get("properties"):
        return f"for {', '.join(map(code, names))}: {type_words(next(iter(names.values())), definitions)}"
    ((pattern, value),) = node["patternProperties"].items()
    return f"for each {_PATTERNS[pattern]}: {type_words(value, definitions)}"


_BY_TYPE: Final[dict[str, Callable[[Schema, Schema], str]]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda _node, _definitions: "`true` or `false`",
    "array": _list,
    "object": _mapping,
}
