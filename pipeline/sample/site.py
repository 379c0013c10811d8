"""Writes the sample site, as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ConfigurationError
from pipeline.progress import Progress, silent
from pipeline.sample.clients import draw_clients
from pipeline.sample.customers import draw_acceptances, draw_customers, write_customers, write_orders
from pipeline.sample.entitlements_file import ENTITLEMENTS_FILE
from pipeline.sample.logs import LogWriter
from pipeline.sample.requests import list_requests
from pipeline.sample.site_file import POLICY_FILE, READ_ME, SITE_FILE
from pipeline.sample.traffic import Counts, draw_traffic
from pipeline.workspace import Workspace

SOURCES = "sources"
RECORD = "sample.json"
_DRAFT = ".sources.draft"
_OLD = ".sources.old"
_LINES = (1_000, 50_000_000)
_CUSTOMERS = (10, 5_000_000)


@dataclass(frozen=True)
class Parameters:
    """What a sample is made from; the same parameters give the same bytes.

    Attributes:
        seed: Of the generator of chance, 0 or more.
        lines: Of all access logs together, malformed ones included; 1,000 to 50,000,000.
        visitors: People with a browser, each with one line at least; 10 to half of ``lines``.
        customers: Rows of the customer table; 10 to 5,000,000.
    """

    seed: int
    lines: int
    visitors: int
    customers: int

    def __post_init__(self) -> None:
        _require("seed", self.seed, (0, 2**63 - 1))
        _require("lines", self.lines, _LINES)
        _require("visitors", self.visitors, (10, self.lines // 2))
        _require("customers", self.customers, _CUSTOMERS)


@dataclass(frozen=True)
class SampleSummary:
    """What was written.

    Attributes:
        home: The site's folder.
        lines: Of all access logs.
        malformed_lines: Of these, lines that are no request.
        bot_lines: Of these, requests by crawlers.
        visitors: People, each an address together with a user agent.
        customers: Rows of the customer table.
        orders: Rows of the export of orders.
        files: Access logs, one a day.
        seconds: How long it took.
    """

    home: Path
    lines: int
    malformed_lines: int
    bot_lines: int
    visitors: int
    customers: int
    orders: int
    files: int
    seconds: float


def write_sample(
    home: Path,
    *,
    seed: int = 20261005,
    lines: int = 600_000,
    visitors: int = 40_000,
    customers: int = 30_000,
    progress: Progress = silent,
) -> SampleSummary:
    """Write a synthetic site into ``home``: ``site.yaml``, ``policy.yaml`` and ``sources/``.

    A sample that is there already is replaced; sources, a site file or a policy that are no sample's stay, and are an
    error.

    Args:
        home: The site's folder; made if it is not there.
        seed: See ``Parameters``.
        lines: See ``Parameters``.
        visitors: See ``Parameters``.
        customers: See ``Parameters``.
        progress: Told about each day of logs, then about customers and orders.

    Raises:
        ConfigurationError: A parameter is out of range, ``home`` holds somebody's sources, or cannot be written to.
    """
    parameters = Parameters(seed, lines, visitors, customers)
    started = time.monotonic()
    _require_own(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _draft_folder(home) as draft:
            orders, files = _write_sources(draft, parameters, progress)
            _put_in_place(home, draft)
    except OSError as failure:
        raise ConfigurationError(
            "the sample must be written to a folder with permission and room for it",
            value=f"{home} ({failure.strerror or failure})",
            remedy="Name another folder, or change its permissions.",
        ) from None
    counts = Counts.of(lines)
    seconds = time.monotonic() - started
    return SampleSummary(home, lines, counts.malformed, counts.bots, visitors, customers, orders, files, seconds)


def _write_sources(folder: Path, parameters: Parameters, progress: Progress) -> tuple[int, int]:
    """Write everything that goes into ``sources``; returns how many orders and how many access logs there are."""
    # Apart from each other, so that the number of lines does not change who the customers are.
    of_site, of_customers, of_policy = np.random.default_rng(parameters.seed).spawn(3)
    progress("inventing visitors", 0, parameters.lines)
    clients = draw_clients(of_site, parameters.visitors)
    requests = list_requests(of_site, clients.name)
    traffic = draw_traffic(of_site, clients, requests, Counts.of(parameters.lines))
    (folder / "logs").mkdir()
    files = LogWriter(clients, requests, of_site).write(traffic, folder / "logs", progress)
    customers = draw_customers(of_customers, parameters.customers)
    acceptances = draw_acceptances(of_policy, customers)
    write_customers(of_customers, customers, acceptances, folder / "customers.db")
    orders = write_orders(of_customers, customers, folder / "orders.csv")
    progress("writing customers and orders", parameters.customers, parameters.customers)
    (folder / "README.txt").write_text(READ_ME.format(**asdict(parameters), orders=orders), encoding="utf-8")
    digests = {"site_file_sha256": _digest(SITE_FILE.encode()), "policy_sha256": _digest(POLICY_FILE.encode())}
    record = {"synthetic": True, **asdict(parameters), **digests}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return orders, files


@contextmanager
def _draft_folder(home: Path) -> Iterator[Path]:
    """An empty folder beside the sources; what a killed run left in it is swept away."""
    draft = home / _DRAFT
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(home: Path, draft: Path) -> None:
    """Exchange the sources as a whole, then the policy and the site file: a killed run leaves nothing half-written."""
    sources, old = home / SOURCES, home / _OLD
    if old.exists():
        shutil.rmtree(old)
    if sources.exists():
        sources.rename(old)
    draft.rename(sources)
    shutil.rmtree(old, ignore_errors=True)
    for path, text in _documents(home).items():
        fresh = path.with_name(f".{path.name}.draft")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    entitlements = Workspace(home).entitlements_file
    if not entitlements.exists():  # one that somebody edits is theirs
        entitlements.write_text(ENTITLEMENTS_FILE, encoding="utf-8")


def _documents(home: Path) -> dict[Path, str]:
    """The YAML files of the sample, by path; the site file is written last."""
    workspace = Workspace(home)
    return {workspace.policy_file: POLICY_FILE, workspace.site_file: SITE_FILE}


def _require_own(home: Path) -> None:
    """Refuse to overwrite what the sample did not write."""
    sources, documents = home / SOURCES, _documents(home)
    written = {_digest(text.encode()) for text in documents.values()}
    try:
        record = json.loads((sources / RECORD).read_text("utf-8"))
        written |= {record["site_file_sha256"], record.get("policy_sha256")}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        if sources.exists():
            raise _refusal(sources) from None
    for path in documents:
        if path.exists() and _digest(path.read_bytes()) not in written:
            raise _refusal(path)


def _refusal(path: Path) -> ConfigurationError:
    return ConfigurationError(
        "the sample may only replace what it has written itself",
        value=path,
        remedy="Move it away, or name another folder for the sample.",
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _require(name: str, value: int, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(
            f"the sample's {name} must be a whole number from {low:,} to {high:,}",
            value=f"{name}={value}",
            remedy="Visitors may be half as many as lines at most." if name == "visitors" else "Choose one of these.",
        )
