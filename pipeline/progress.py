"""Progress of long work, as a callback so that stages print nothing themselves."""

from __future__ import annotations

from collections.abc import Callable

# (what is being done, how much is done, how much there is or None where it is unknown)
Progress = Callable[[str, int, int | None], None]


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Show nothing."""
