"""Many who ask at once are answered together, in one transaction, by whichever of them has its turn."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Turns:
    """A lock that its threads get in the order in which they asked for it."""

    def __init__(self) -> None:
        self._lock, self._taken = threading.Lock(), False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        """Wait for one's turn."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(self, *_failure: object) -> None:
        """It is the turn of who has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


@functools.cache
def turns_at(name: str) -> Turns:
    """The turns of this process at a database.

    While SQLite commits, it lets nobody read, and whoever wants to only looks again now and then, by chance never in
    between two commits.
    """
    return Turns()


class Together(Generic[Question, Answer]):
    """Asks for all that wait, one time after the other.

    Nobody is told what was so before they asked: an answer is of a transaction that began after the question was put.

    Args:
        answer: The answers to some questions, in their order.
    """

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._answer = answer
        self._waiting: deque[tuple[Question, Future[Answer]]] = deque()
        self._turn = threading.Lock()

    def ask(self, question: Question) -> Answer:
        """The answer to a question.

        Raises:
            Exception: What answering raised, for all that were asked about together.
        """
        mine: Future[Answer] = Future()
        self._waiting.append((question, mine))
        with self._turn:
            if not mine.done():  # nobody answered it with their own
                self._answer_all()
        return mine.result()

    def _answer_all(self) -> None:
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            answers = self._answer([question for question, _ in taken])
        except BaseException as failure:  # noqa: BLE001  whoever waits is told, whatever it is
            for _, waiting in taken:
                waiting.set_exception(failure)
            return
        for (_, waiting), answer in zip(taken, answers, strict=True):
            waiting.set_result(answer)
