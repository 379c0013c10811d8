import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import ConfigurationError
from pipeline.periods import Period, PeriodKind


@pytest.mark.parametrize(
    ("label", "first", "end"),
    [
        ("2026-10-05", dt.date(2026, 10, 5), dt.date(2026, 10, 6)),
        ("2026-W41", dt.date(2026, 10, 5), dt.date(2026, 10, 12)),
        ("2026-W53", dt.date(2026, 12, 28), dt.date(2027, 1, 4)),
        ("2026-12", dt.date(2026, 12, 1), dt.date(2027, 1, 1)),
    ],
)
def test_a_label_names_its_days_and_reads_back(label: str, first: dt.date, end: dt.date) -> None:
    period = Period.parse(label)
    assert (period.start, period.end, str(period)) == (first, end, label)
    assert period.next.start == end


@pytest.mark.parametrize("label", ["2026-13", "2026-W54", "2027-W53", "2026-02-30", "last week", "", "2026-W41\n"])
def test_what_is_no_period_is_refused_with_examples(label: str) -> None:
    with pytest.raises(ConfigurationError, match="2026-W41"):
        Period.parse(label)


@pytest.mark.parametrize(("kind", "label"), [("day", "2027-01-01"), ("week", "2026-W53"), ("month", "2027-01")])
def test_a_day_belongs_to_one_period_of_each_kind(kind: str, label: str) -> None:
    assert str(Period.containing(dt.date(2027, 1, 1), PeriodKind(kind))) == label


def test_a_week_with_a_change_to_winter_time_is_an_hour_longer() -> None:
    start, end = Period.parse("2026-W43").bounds(ZoneInfo("Europe/Berlin"))
    assert end.astimezone(dt.UTC) - start.astimezone(dt.UTC) == dt.timedelta(days=7, hours=1)
