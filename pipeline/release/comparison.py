"""What two releases of one name tell alike: only that is compared."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.release.artefact import MeasureFacts, PrivateRelease, ReleaseHeader, TableFacts

Measures = tuple[MeasureFacts, ...]

_TABLE = {"name", "dimensions", "private", "max_groups", "measure"}
_HEADING = {"title"}


def alike(now: PrivateRelease, before: PrivateRelease) -> Mapping[str, Measures]:
    """Tables that are of the same groups of the same people in both releases, and their measures that count the same.

    Args:
        now: A release.
        before: Another.

    Returns:
        By the table's name, the measures of ``now`` that ``before`` tells within the same bounds; people first. A
        table whose people are not counted alike is not among them.
    """
    if _whose(now.header) != _whose(before.header):
        return {}
    earlier = {facts.name: facts for facts in before.header.tables if facts.name in before.tables}
    pairs = ((facts, earlier.get(facts.name)) for facts in now.header.tables)
    return {facts.name: _shared(facts, old) for facts, old in pairs if old is not None and _same(facts, old)}


def _whose(header: ReleaseHeader) -> tuple[str, str, str]:
    return header.release, header.population, header.unit


def _same(now: TableFacts, before: TableFacts) -> bool:
    return now.model_dump(include=_TABLE) == before.model_dump(include=_TABLE)


def _shared(now: TableFacts, before: TableFacts) -> Measures:
    known = [measure.model_dump(exclude=_HEADING) for measure in before.measures]
    return tuple(measure for measure in now.measures if measure.model_dump(exclude=_HEADING) in known)
