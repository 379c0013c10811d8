"""A column holds nothing that looks like personal data."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)

from expectations.patterns import looks_personal


class ColumnValuesHoldNoPersonalData(ColumnMapMetricProvider):
    """For each value whether it holds nothing that looks like personal data."""

    condition_metric_name = "column_values.hold_no_personal_data"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], **_: Any) -> pd.Series[bool]:  # noqa: N805  a class method once decorated
        texts = column.astype(str)
        # Keys stand in many rows: each is looked at once.
        found = {text: looks_personal(text) for text in texts.unique()}
        return ~texts.map(found).astype(bool)


class ExpectColumnValuesToHoldNoPersonalData(ColumnMapExpectation):
    """No value holds an e-mail or network address, a card or phone number, a token, an agent or a page's address."""

    map_metric: ClassVar[str] = "column_values.hold_no_personal_data"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly",)
