"""Questions of many that are answered together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.delivery.together import Together


def test_each_gets_its_own_answer() -> None:
    together: Together[int, int] = Together(lambda asked: [2 * one for one in asked])
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(together.ask, range(500))) == [2 * one for one in range(500)]


def test_who_asks_meanwhile_is_answered_by_one_further_time_and_not_by_the_time_before() -> None:
    begun, go_on, times = threading.Event(), threading.Event(), []

    def answer(asked: Sequence[str]) -> list[int]:
        times.append(sorted(asked))
        begun.set()
        go_on.wait(10)
        return [len(times)] * len(asked)

    together: Together[str, int] = Together(answer)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(together.ask, "first")
        assert begun.wait(10)
        later = [pool.submit(together.ask, name) for name in "abc"]
        while len(together._waiting) < len(later):
            pass
        go_on.set()
        assert first.result(10) == 1
        assert [one.result(10) for one in later] == [2, 2, 2]
    assert times == [["first"], ["a", "b", "c"]]


def test_what_cannot_be_answered_is_told_to_all_and_asked_anew() -> None:
    known = False

    def answer(asked: Sequence[int]) -> Sequence[int]:
        if not known:
            raise LookupError
        return asked

    together: Together[int, int] = Together(answer)
    with pytest.raises(LookupError):
        together.ask(1)
    known = True
    assert together.ask(1) == 1
