from __future__ import annotations

import datetime as dt

import jinja2
import pytest

from pipeline.local.partitions import PARTITION_FORMATS, PERIOD, partition_key, period_label
from pipeline.periods import Period, PeriodKind

LABELS = ["2026-W41", "2026-W01", "2026-W53", "2026-10-01", "2026-11-11", "2026-01", "2026-11"]


@pytest.mark.parametrize("label", LABELS)
def test_a_partition_key_leads_back_to_its_period(label: str) -> None:
    key = partition_key(Period.parse(label))
    assert period_label(key) == label
    rendered = jinja2.Template(PERIOD).render(dag_run={"partition_key": key})
    assert rendered == label


@pytest.mark.parametrize("label", LABELS)
def test_airflow_can_read_a_partition_key_back_as_the_first_day(label: str) -> None:
    period = Period.parse(label)
    read = dt.datetime.strptime(partition_key(period), PARTITION_FORMATS[period.kind])  # noqa: DTZ007 - as Airflow does
    assert read.date() == period.start


def test_a_run_without_a_partition_key_names_no_period() -> None:
    assert jinja2.Template(PERIOD).render(dag_run={"partition_key": None}) == ""


def test_there_is_a_format_for_every_kind_of_period() -> None:
    assert set(PARTITION_FORMATS) == set(PeriodKind)
