"""Data Docs: a page and a record of every run of a suite, and an index of all runs.

Pages need nothing from outside: no script, and a style sheet of their own in each, so that they open from a folder and
in a closed network. A run keeps verdicts in words, never a value. Its time is in the names of its two files, by which
retention finds what is due::

    index.html                              all runs, the newest first
    runs/{suite}/{name}/{time}.html         one run
    records/{suite}/{name}/{time}.json      the same for programs
"""

from __future__ import annotations

import datetime as dt
import fcntl
import functools
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import jinja2
from pydantic import ValidationError

from pipeline import templating
from pipeline.documents import Document

INDEX: Final = "index.html"
_LOCK: Final = ".lock"
_PAGES, _RECORDS = "runs", "records"
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_PARTIAL: Final = ".partial"  # ending of drafts, whose names begin with a dot


class CheckRecord(Document):
    """One check's outcome."""

    check: str
    """The rule, in words."""
    notes: str
    """Why there is such a rule."""
    critical: bool
    """Whether it stops what comes next where it does not hold."""
    success: bool


class SubjectRecord(Document):
    """What was checked at once: one table."""

    subject: str
    """What verdicts call it."""
    part: str
    """Part of the suite."""
    about: str
    checks: tuple[CheckRecord, ...]


class RunRecord(Document):
    """One run of a suite."""

    at: dt.datetime
    """When, UTC."""
    suite: str
    about: str
    """When the suite runs, and what it reads."""
    name: str
    """What it was run on, its parts joined by dots: ``weekly_audience.2026-W41.r1``."""
    subjects: tuple[SubjectRecord, ...]

    @property
    def page(self) -> str:
        """Its page, from the folder of Data Docs."""
        return f"{_PAGES}/{self._place}.html"

    @property
    def record(self) -> str:
        """Its record, from the folder of Data Docs."""
        return f"{_RECORDS}/{self._place}.json"

    @property
    def _place(self) -> str:
        return f"{self.suite}/{self.name}/{self.at.astimezone(dt.UTC).strftime(_TIME)}"

    @property
    def total(self) -> int:
        """How many checks were carried out."""
        return sum(len(subject.checks) for subject in self.subjects)

    @property
    def failed(self) -> list[tuple[int, CheckRecord]]:
        """Critical checks that do not hold, each with the place of its subject."""
        return [(place, check) for place, check in self._not_held if check.critical]

    @property
    def noted(self) -> list[tuple[int, CheckRecord]]:
        """The same of checks that stop nothing."""
        return [(place, check) for place, check in self._not_held if not check.critical]

    @property
    def _not_held(self) -> Iterator[tuple[int, CheckRecord]]:
        for place, subject in enumerate(self.subjects):
            yield from ((place, check) for check in subject.checks if not check.success)


def runs(folder: Path, suite: str = "*", name: str = "*") -> tuple[RunRecord, ...]:
    """Runs that are kept, the newest first; all of them, or those of a suite, or of what has a name.

    Args:
        folder: Data Docs: ``Workspace.data_docs``. Where there is none, there are no runs.
        suite: Name of a suite under ``expectations/``.
        name: What it was run on.
    """
    read = (_read(path) for path in (folder / _RECORDS).glob(f"{suite}/{name}/*.json"))
    return tuple(sorted((run for run in read if run), key=lambda run: run.at, reverse=True))


def add_run(folder: Path, run: RunRecord) -> None:
    """Write a run's page and record; the index is another step."""
    first: dict[str, int] = {}
    for place, subject in enumerate(run.subjects, start=1):
        first.setdefault(subject.subject, place)
    index = "../" * run.page.count("/") + INDEX
    _write(folder / run.page, _page("run.html.j2", run=run, headings=_headings(run), first=first, index=index))
    _write(folder / run.record, run.model_dump_json(indent=1))


def write_index(folder: Path) -> None:
    """Write the index of all runs that are kept."""
    every = runs(folder)
    failing = sum(1 for run in every if run.failed or not run.total)
    _write(folder / INDEX, _page("index.html.j2", runs=every, failing=failing))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the one right to write Data Docs: of two runs that end at once, the second's index lists both."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def expired(folder: Path, before: dt.datetime) -> tuple[Path, ...]:
    """Files of runs before an instant, records first; what has no time in its name is as old as its last change.

    Args:
        folder: Data Docs.
        before: With a time zone.
    """
    files = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    found = {path for path in files if path.name not in {INDEX, _LOCK} and _made(path) < before}
    return tuple(sorted(found, key=lambda path: (path.relative_to(folder).parts[0] != _RECORDS, path)))


def purge(folder: Path, before: dt.datetime) -> tuple[int, tuple[Path, ...]]:
    """Remove runs before an instant, and write the index of what is left.

    Args:
        folder: Data Docs.
        before: With a time zone.

    Returns:
        How many files were removed, and which could not be.

    Raises:
        OSError: The index cannot be written.
    """
    if not expired(folder, before):
        return 0, ()
    with alone(folder):
        due = expired(folder, before)
        stuck = tuple(path for path in due if not _removed(path))
        for place in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):  # it holds something
                place.rmdir()
        write_index(folder)
    return len(due) - len(stuck), stuck


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _made(path: Path) -> dt.datetime:
    with suppress(ValueError):
        return dt.datetime.strptime(path.stem, _TIME).replace(tzinfo=dt.UTC)
    try:
        return dt.datetime.fromtimestamp(path.lstat().st_mtime, dt.UTC)
    except FileNotFoundError:  # a draft that took its place meanwhile
        return dt.datetime.now(dt.UTC)


def _read(path: Path) -> RunRecord | None:
    """A record; None for what is none: a run that comes after must not fail because of it."""
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        draft.write_text(content, "utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _headings(run: RunRecord) -> list[str]:
    """What each subject is called on its page: its name, with the part of the suite where several have that name."""
    often = Counter(subject.subject for subject in run.subjects)
    return [
        one.subject if often[one.subject] == 1 else f"{one.subject}: {one.part.replace('_', ' ')}"
        for one in run.subjects
    ]


def _page(template: str, **context: object) -> str:
    return _environment().get_template(template).render(**context)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = templating.environment("pipeline.validation")
    environment.filters |= {
        "words": lambda name: name.replace("_", " ").capitalize(),  # a suite: Staging visitors
        "told": lambda name: name.replace(".", " / "),  # what it was run on: weekly_audience / 2026-W41 / r1
        "moment": lambda when: f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "whole": lambda number: f"{number:,}",
        "counted": lambda number, thing: f"{number:,} {thing}" + ("" if number == 1 else "s"),
    }
    return environment
