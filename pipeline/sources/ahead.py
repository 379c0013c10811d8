"""Work of a source that is done while the engine is busy with what came before."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final, TypeVar

Item = TypeVar("Item")
_END: Final = object()


def one_ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """The same items, each made in a thread while the caller works on the one before it.

    There is never more than one item waiting. What making one raises is raised here, in its place. The thread ends
    with the iteration, and closes nothing: ``items`` is closed in the caller's thread, also where it stops early.
    """
    with closing(items), ThreadPoolExecutor(1, thread_name_prefix="reading") as thread:
        upcoming = thread.submit(next, items, _END)
        while (item := upcoming.result()) is not _END:
            upcoming = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]  # all but the end are items
