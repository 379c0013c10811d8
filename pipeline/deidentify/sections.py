"""Sections of the site: shell patterns over paths as one SQL expression."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.errors import ConfigurationError
from pipeline.site import SectionRule
from pipeline.sources.engine import quoted
from pipeline.vocabulary import OTHER


def section_case(rules: Sequence[SectionRule], path: str = "path") -> str:
    """SQL for the section of a path: the first rule with a matching pattern, or ``other``.

    A pattern is matched as ``fnmatch.fnmatchcase`` does: ``*`` is anything, slashes included, ``?`` one character,
    ``[...]`` one of these; nothing else is special.

    Raises:
        ConfigurationError: A range inside ``[...]`` descends.
    """
    branches = [f"WHEN {matches_any(rule.paths, path)} THEN {quoted(rule.section)}" for rule in rules]
    return f"CASE {' '.join(branches)} ELSE {quoted(OTHER)} END" if branches else quoted(OTHER)


def matches_any(patterns: Sequence[str], path: str) -> str:
    """SQL for whether a path matches one of some shell patterns, see ``section_case``.

    Raises:
        ConfigurationError: A range inside ``[...]`` descends.
    """
    return " OR ".join(_matches(path, pattern) for pattern in patterns)


def _matches(path: str, pattern: str) -> str:
    if re.search(r"[?\[]", pattern):
        return f"regexp_full_match({path}, {quoted(_expression(pattern))}, 's')"
    # LIKE is several times as fast; a pattern of stars is one.
    like = re.sub(r"([%_\\])", r"\\\1", pattern)
    like = re.sub(r"\*+", "%", like)
    return f"{path} LIKE {quoted(like)}" + (r" ESCAPE '\'" if "\\" in like else "")


def _expression(pattern: str) -> str:
    """The RE2 expression of a shell pattern."""
    # An unclosed bracket is an ordinary character; a closing one that comes first is a member.
    parts = re.findall(r"\*|\?|\[!?+(?:\][^\]]*+|[^\]]++)\]|.", pattern, re.DOTALL)
    expression = "".join(_expression_part(part) for part in parts)
    try:
        re.compile(expression)
    except re.error:
        raise ConfigurationError(
            "a path of a section or a kind of file must be a shell pattern",
            value=repr(pattern),
            remedy="Ranges in [...] must ascend.",
        ) from None
    return expression


def _expression_part(part: str) -> str:
    if part == "*":
        return ".*"
    if part == "?":
        return "."
    if len(part) > 1:  # [...] or [!...], in which only ranges stay special
        negated, members = part[1] == "!", part[1:-1].removeprefix("!")
        inside = re.sub(r"([\\\]\[^&~|])", r"\\\1", members)
        return f"[{'^' if negated else ''}{inside}]"
    return re.escape(part)
