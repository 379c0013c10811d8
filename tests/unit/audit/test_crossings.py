from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

from pipeline.audit.crossings import Crossing
from pipeline.audit.reading import Readings, Row
from pipeline.privacy.noisy import Group

SYSTEMS = Crossing(
    "by_system",
    "by_country_and_system",
    2,
    (1,),
    3,
    {("a",): {("AT", "a"): 50, ("CH", "a"): 30, ("DE", "a"): 4}, ("b",): {("AT", "b"): 60}},
)


def readings(systems: Iterable[str], cells: Iterable[str]) -> Readings:
    """Tables that list these groups: ``a``, and ``AT a``."""

    def table(groups: Iterable[Group]) -> Any:
        rows = [(group, Row(50.0, 50.0, "F")) for group in groups]
        return SimpleNamespace(people=lambda: iter(rows))

    listed = (tuple(cell.split()) for cell in cells)
    return cast(Readings, {"by_system": table((one,) for one in systems), "by_country_and_system": table(listed)})


def test_what_is_left_of_few_people_is_wrong() -> None:
    assert SYSTEMS.wrong(readings("a", ["AT a", "CH a"]), 20) == (1, 1)


def test_what_is_left_of_k_people_is_right() -> None:
    assert SYSTEMS.wrong(readings("a", ["AT a"]), 20) == (1, 0)
    assert SYSTEMS.wrong(readings("a", []), 20) == (1, 0)


def test_where_every_part_is_listed_nothing_is_left() -> None:
    assert SYSTEMS.wrong(readings("a", ["AT a", "CH a", "DE a"]), 20) == (0, 0)


def test_that_nobody_is_left_is_wrong_too() -> None:
    assert SYSTEMS.wrong(readings("b", ["AT b"]), 20) == (1, 1)


def test_a_group_that_is_not_listed_leaves_nothing() -> None:
    assert SYSTEMS.wrong(readings("", ["AT a", "CH a"]), 20) == (0, 0)


def test_remainders_of_either_table_are_no_groups() -> None:
    made = readings(["all other"], ["AT a"])
    assert SYSTEMS.wrong(made, 20) == (0, 0)
