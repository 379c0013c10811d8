"""The site of Data Docs as Great Expectations builds it, with pages of the product's own.

The pages that come with Great Expectations take style sheets and scripts from public hosts, and where these cannot be
reached they are bare, and their index is empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext
from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier

from pipeline.validation import data_docs
from pipeline.validation.data_docs import CheckRecord, RunRecord, SubjectRecord
from pipeline.validation.suites import SuiteFile
from pipeline.validation.verdicts import WARNING

OF: Final = "of"  # in the meta of a result: of what it is, as ``of_run`` says it


def of_run(suite: SuiteFile, part: str, named: str) -> dict[str, str]:
    """What a result must say of itself beside its outcomes to become part of a page."""
    about = {"about": suite.parts[part].about, "suite_about": suite.about}
    return {"suite": suite.suite, "part": part, "subject": named} | about


class RunSite:
    """What a context's ``build_data_docs`` calls: it makes a page and a record of each run, and the index of all.

    Args:
        data_context: Holds the results.
        folder: Where the site lies.
    """

    def __init__(self, data_context: AbstractDataContext, folder: str) -> None:
        self._results = data_context.validation_results_store
        self._folder = Path(folder)

    def build(self, resource_identifiers: Iterable[Any] | None = None, build_index: bool = True) -> tuple[str]:
        """Write the pages of the runs that these results are of, or of all runs; returns where the index is."""
        keys = self._results.list_keys() if resource_identifiers is None else resource_identifiers
        for _, of_one in groupby(keys, key=lambda key: key.run_id.to_tuple()):
            data_docs.add_run(self._folder, self._record(list(of_one)))
        if build_index:
            data_docs.write_index(self._folder)
        return (str(self._folder / data_docs.INDEX),)

    def _record(self, of_one: Sequence[ValidationResultIdentifier]) -> RunRecord:
        results: list[Any] = [self._results.get(key) for key in of_one]
        told, run_id = results[0].meta[OF], of_one[0].run_id
        return RunRecord(
            at=run_id.run_time.astimezone(dt.UTC),
            suite=told["suite"],
            about=told["suite_about"],
            name=run_id.run_name,
            subjects=tuple(_subject(result) for result in results),
        )


def _subject(result: Any) -> SubjectRecord:
    told = {name: result.meta[OF][name] for name in ("subject", "part", "about")}
    return SubjectRecord(**told, checks=tuple(_check(item) for item in result.results))


def _check(item: ExpectationValidationResult) -> CheckRecord:
    config = item.expectation_config
    assert config is not None
    return CheckRecord(
        check=config.description or config.type,
        notes=config.notes if isinstance(config.notes, str) else "",
        critical=config.severity.value != WARNING,
        success=item.success is True,
    )
