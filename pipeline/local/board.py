"""Shows a run while it lasts: a table that is kept up to date on a terminal, one line a change anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.local.api import DagRun

_COLOURS: Final = {"success": "green", "failed": "red", "running": "cyan", "queued": "dim"}
# A line a step at least this long after the last one, where lines cannot be overwritten.
_PATIENCE: Final = 5.0  # seconds


class Board:
    """What is going on. ``progress`` serves as a ``Progress``; both methods may be called as often as one likes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._step = ""
        self._step_told = ("", 0.0)
        self._runs: dict[tuple[str, str], tuple[str, str]] = {}
        self._finished: dict[tuple[str, str], float] = {}
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.__exit__(kind, value, trace)

    @property
    def elapsed(self) -> float:
        """Seconds since the board was made."""
        return time.monotonic() - self._started

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Show how far a step is."""
        self._step = f"{what} ({done:,} of {total:,})" if total else what
        told, at = self._step_told
        if what != told or self.elapsed - at > _PATIENCE:
            self._step_told = (what, self.elapsed)
            self._tell(self._step)

    def update(self, run: DagRun, task: str) -> None:
        """Show where a DAG run is; ``task`` is what it is at, empty before its first task and after its last."""
        key, now = (run.dag, run.period), (run.state, task)
        if self._runs.get(key) != now:
            self._runs[key] = now
            if run.finished:
                self._finished[key] = self.elapsed
            if task or run.finished:
                self._tell(f"{run.dag} {run.period}: {task or run.state}")

    def _tell(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(f"{self.elapsed:5.0f} s  {line}", markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        clock = Spinner("dots", Text(f"{self.elapsed:.0f} s  {self._step if not self._runs else 'Airflow runs'}"))
        table = Table(box=None, pad_edge=False)
        for title in ("DAG", "period", "state", "task", "done at"):
            table.add_column(title, justify="right" if title == "done at" else "left")
        for (dag, period), (state, task) in sorted(
            self._runs.items(), key=lambda item: item[0][0].startswith("export")
        ):
            at = self._finished.get((dag, period))
            coloured = Text(state, style=_COLOURS.get(state, ""))
            table.add_row(dag, period, coloured, task, f"{at:.0f} s" if at is not None else "")
        return Group(clock, table) if self._runs else clock
