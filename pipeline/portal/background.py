"""Work that takes too long for a page: done once, in a thread of its own, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from typing import Final, Generic, TypeVar

Result = TypeVar("Result")

_BRIEFLY: Final = 0.02  # seconds that a page may wait for what is nearly done


class Background(Generic[Result]):
    """Results by key; what is asked for again is not done again.

    Args:
        name: Of its thread.
        most: How many results are kept, the ones that were asked for last.
    """

    def __init__(self, name: str, most: int = 512) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._found: OrderedDict[Hashable, Future[Result]] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def soon(self, key: Hashable, work: Callable[[], Result]) -> Future[Result]:
        """The result for a key, done or to be done; what failed is tried again."""
        with self._lock:
            found = self._found.get(key)
            if found is None or (found.done() and found.exception() is not None):
                found = self._found[key] = self._pool.submit(work)
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
            return found

    def at_hand(self, key: Hashable, work: Callable[[], Result]) -> Result | None:
        """The result for a key if it is there by now; None while it is worked out.

        Raises:
            Exception: What the work raised.
        """
        try:
            return self.soon(key, work).result(_BRIEFLY)
        except NotDone:
            return None

    def settle(self) -> None:
        """Wait until everything that was asked for is done."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """Begin nothing more; what is being done comes to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
