"""Suites as files: what is checked, in words and in the terms of Great Expectations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from expectations.folder import SUITES
from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import ConfigurationError
from pipeline.validation.verdicts import CRITICAL, Severity

Parameters = Mapping[str, Any]


class Check(Document):
    """One check, with places for what is known only when it runs."""

    type: str
    """Name of the expectation, in snake case."""
    description: Annotated[str, Field(min_length=1)]
    """The rule in plain words; ``{name}`` stands for a parameter."""
    notes: str = ""
    """Why there is such a rule."""
    severity: Severity = CRITICAL
    """``critical`` stops a release, ``warning`` is for its reviewer to judge."""
    each: str | None = None
    """A parameter that is a list; the check is run for each of its items, which are parameters themselves."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the expectation; ``{$PARAMETER: name}`` stands for a parameter."""

    def filled(self, parameters: Parameters) -> Iterator[FilledCheck]:
        """The check with its parameters, once or for each item."""
        for item in parameters[self.each] if self.each else ({},):
            known = {**parameters, **item}
            kwargs = {name: _resolved(value, known) for name, value in self.kwargs.items()}
            yield FilledCheck(self.type, kwargs, self.description.format_map(known), self.notes, self.severity)


@dataclass(frozen=True)
class FilledCheck:
    """A check that can be run."""

    type: str
    kwargs: dict[str, Any]
    description: str
    notes: str
    severity: Severity = CRITICAL


class Part(Document):
    """The checks on one kind of table."""

    about: str
    """What the tables of this kind hold."""
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]

    def filled(self, parameters: Parameters) -> tuple[FilledCheck, ...]:
        """All checks with their parameters."""
        return tuple(filled for check in self.checks for filled in check.filled(parameters))


class SuiteFile(Document):
    """All checks of one stage."""

    suite: str
    about: str
    """When it runs and what it reads."""
    parts: dict[str, Part]


def load_suite(name: str) -> SuiteFile:
    """The suite of that name under ``expectations/``.

    Raises:
        ConfigurationError: There is none, or it is invalid.
    """
    return documents.load(SUITES / f"{name}.yaml", SuiteFile, ConfigurationError)


def _resolved(value: object, parameters: Parameters) -> object:
    if isinstance(value, dict) and set(value) == {"$PARAMETER"}:
        return parameters[value["$PARAMETER"]]
    return value
