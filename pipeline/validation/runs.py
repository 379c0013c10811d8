"""Runs suites with Great Expectations, keeps verdicts, and writes its Data Docs.

Results have the format BOOLEAN_ONLY, and before one gets into Data Docs everything is taken out of it that could tell
what a table holds: messages of exceptions, which may quote a value, and the fingerprint of the table.
"""

from __future__ import annotations

import datetime as dt
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult, RunIdentifier
from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext
from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.datasource.fluent.pandas_datasource import PandasDatasource
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.registry import get_expectation_impl

import expectations.budget
import expectations.contributions
import expectations.drift
import expectations.noise
import expectations.personal_data
import expectations.reading
import expectations.rows
import expectations.sums  # noqa: F401  importing them makes their expectations known
from pipeline.validation import data_docs, docs_site
from pipeline.validation.suites import FilledCheck, Parameters, SuiteFile
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.workspace import Workspace

_FORMAT: Final = "BOOLEAN_ONLY"
_PLACE: Final = "place"  # of a check in its suite, by which its result is found


@dataclass(frozen=True)
class Subject:
    """One table to check.

    Attributes:
        part: Part of the suite that is run on it.
        asset: What Data Docs call it.
        named: What verdicts call it.
        frame: The table.
        parameters: What the suite leaves open.
    """

    part: str
    asset: str
    named: str
    frame: pd.DataFrame
    parameters: Parameters


@dataclass(frozen=True)
class _Outcome:
    key: ValidationResultIdentifier
    result: ExpectationSuiteValidationResult
    verdicts: tuple[Verdict, ...]


def run(workspace: Workspace, suite: SuiteFile, family: str, run_name: str, subjects: Sequence[Subject]) -> Verdicts:
    """Run a suite on tables and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs, which keep all runs.
        suite: What is checked.
        family: Name of what is checked again and again: a release, a population.
        run_name: Name of this run; becomes part of file names.
        subjects: The tables.

    Returns:
        One verdict a check, in the order of the subjects and of the suite.
    """
    run_id = RunIdentifier(run_name=run_name, run_time=dt.datetime.now(dt.UTC))
    with _quiet():
        context = _context(workspace.data_docs)
        source = context.data_sources.add_pandas("tables")
        outcomes = [_outcome(source, suite, f"{suite.suite}.{family}.{one.asset}", run_id, one) for one in subjects]
        _publish(context, workspace.data_docs, outcomes)
    return Verdicts(tuple(verdict for outcome in outcomes for verdict in outcome.verdicts))


def _outcome(
    source: PandasDatasource, suite: SuiteFile, name: str, run_id: RunIdentifier, subject: Subject
) -> _Outcome:
    part = suite.parts[subject.part]
    checks = part.filled(subject.parameters)
    gx_suite = _suite(name, part.about, checks)
    definition = source.add_dataframe_asset(subject.asset).add_batch_definition_whole_dataframe("whole")
    batch = definition.get_batch({"dataframe": subject.frame})
    result = batch.validate(gx_suite, result_format=_FORMAT)
    verdicts = _verdicts(suite.suite, subject.named, checks, result)
    key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name=name), run_id, batch.id)
    return _Outcome(key, _without_values(_complete(result, gx_suite), run_id, suite, subject), verdicts)


def _complete(result: ExpectationSuiteValidationResult, suite: gx.ExpectationSuite) -> ExpectationSuiteValidationResult:
    """The result with every check of the suite, in its order: one that was not carried out does not hold."""
    found = {_place(item): item for item in result.results}
    result.results = [
        found.get(place) or ExpectationValidationResult(success=False, expectation_config=one.configuration)
        for place, one in enumerate(suite.expectations)
    ]
    return result


def _suite(name: str, about: str, checks: Sequence[FilledCheck]) -> gx.ExpectationSuite:
    expectations = [_expectation(check, place) for place, check in enumerate(checks)]
    return gx.ExpectationSuite(name=name, expectations=expectations, notes=about)


def _expectation(check: FilledCheck, place: int) -> Expectation:
    # Made one by one: a suite drops, with a line in the log, what it cannot make itself.
    kind = get_expectation_impl(check.type)
    return kind(
        **check.kwargs,
        description=check.description,
        notes=check.notes or None,
        severity=FailureSeverity(check.severity),
        meta={_PLACE: place},
    )


def _verdicts(
    suite: str, subject: str, checks: Sequence[FilledCheck], result: ExpectationSuiteValidationResult
) -> tuple[Verdict, ...]:
    passed = {_place(item) for item in result.results if item.success is True}
    # A check without a result was not carried out: that is no pass.
    return tuple(
        Verdict(suite, subject, check.description, place in passed, check.severity)
        for place, check in enumerate(checks)
    )


def _place(item: ExpectationValidationResult) -> int:
    assert item.expectation_config is not None
    assert item.expectation_config.meta is not None
    return int(item.expectation_config.meta[_PLACE])


def _without_values(
    result: ExpectationSuiteValidationResult, run_id: RunIdentifier, suite: SuiteFile, subject: Subject
) -> ExpectationSuiteValidationResult:
    for item in result.results:
        item.result = {}
        item.exception_info = {"raised_exception": False, "exception_message": None, "exception_traceback": None}
    result.meta = {
        "great_expectations_version": gx.__version__,
        "run_id": run_id,
        "validation_time": run_id.run_time,
        "batch_spec": {"data_asset_name": subject.asset},
        docs_site.OF: docs_site.of_run(suite, subject.part, subject.named),
    }
    return result


def _publish(context: AbstractDataContext, folder: Path, outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        context.validation_results_store.set(outcome.key, outcome.result)
    with data_docs.alone(folder):
        context.build_data_docs(resource_identifiers=[outcome.key for outcome in outcomes])


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations logs exceptions whole, and what it quotes must not get into a log."""
    logger = logging.getLogger("great_expectations")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _context(folder: Path) -> AbstractDataContext:
    """A context that lives as long as the run: what stays of it are its Data Docs."""
    names = {
        "suites": "ExpectationsStore",
        "results": "ValidationResultsStore",
        "validation_definition_store": "ValidationDefinitionStore",
        "checkpoints": "CheckpointStore",
    }
    site = {"module_name": docs_site.__name__, "class_name": docs_site.RunSite.__name__, "folder": str(folder)}
    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            stores={name: {"class_name": kind, "store_backend": _IN_MEMORY} for name, kind in names.items()},
            expectations_store_name="suites",
            validation_results_store_name="results",
            checkpoint_store_name="checkpoints",
            data_docs_sites={"site": site},
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        ),
    )


_IN_MEMORY: Final = {"class_name": "InMemoryStoreBackend"}
