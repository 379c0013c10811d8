"""A first site file and first release specifications for sources that nobody has described yet."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigurationError
from pipeline.onboarding.customers import find_source, look_at_customers
from pipeline.onboarding.decisions import CustomerPlan
from pipeline.onboarding.visitors import VisitorPlan, look_at_logs
from pipeline.onboarding.writing import MOST_TABLES, customer_release, policy_text, site_text, visitor_release
from pipeline.periods import Period, PeriodKind
from pipeline.policy import load_policy, require_covered
from pipeline.progress import Progress, silent
from pipeline.site import CsvSource, DatabaseSource, load_site
from pipeline.spec import bind, load_specifications
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_ZONE: Final = ZoneInfo("UTC")
_RELEASES: Final = ("weekly_visitors", "monthly_customers")


@dataclass(frozen=True)
class OnboardingReport:
    """What was written, and why it says what it says. Names of columns and public values only.

    Attributes:
        site_file: The site file.
        policy_file: The policy; None where there was one, which stands.
        releases: The release specifications.
        took: What is read, in words.
        left: What is not read, each with the reason.
        periods: By population, the periods to begin with.
        notes: What an engineer should check.
    """

    site_file: Path
    policy_file: Path | None
    releases: tuple[Path, ...]
    took: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    periods: Mapping[Population, tuple[Period, ...]]
    notes: tuple[str, ...]


def write_first_site(
    home: Path, logs: Sequence[str], customers: str | None, progress: Progress = silent, *, overwrite: bool = False
) -> OnboardingReport:
    """Look at sources and write ``home/site.yaml``, ``home/releases/*.yaml`` and a policy, all of them or none.

    A policy that is there stands: what people were told is not for a program to change.

    Args:
        home: The site's folder; made where there is none.
        logs: Paths or globs of visitor logs; may be empty.
        customers: A delimited file, a SQLite file or an SQLAlchemy address; None where there are no customers.
        progress: Told what is being looked at.
        overwrite: Replace a site file and specifications of the same names.

    Raises:
        SourceError: A source is missing, unreadable, empty, in no known format, or carries payment-instrument data.
        ConfigurationError: There is a site file already, no source is named, no table looks like customers, or no
            column is left that may be counted by.
    """
    workspace = Workspace(home.resolve())
    _require_free(workspace, logs, customers, overwrite=overwrite)
    visitors = look_at_logs(logs, _ZONE, progress) if logs else None
    month = visitors.last_month if visitors else Period.containing(dt.datetime.now(_ZONE).date(), PeriodKind.MONTH)
    source = find_source(customers) if customers else None
    plan = look_at_customers(source, month, progress) if source else None
    texts = _texts(visitors, plan, source)
    if not workspace.policy_file.exists():
        since = min(period.start for period in (*(visitors.periods if visitors else ()), month))
        texts = {workspace.policy_file.name: policy_text(since), **texts}
    _put_in_place(workspace, texts)
    return _report(workspace, texts, visitors, plan, source)


def describe(report: OnboardingReport) -> str:
    """The report as plain text, for people to read."""
    lines = ["Taken:", *(f"  {what}" for what in report.took)]
    lines += ["Left out:", *(f"  {what}: {why}" for what, why in report.left)]
    for population, periods in report.periods.items():
        lines.append(f"Periods of {population}: {', '.join(map(str, periods))}")
    lines += [f"Note: {note}" for note in report.notes]
    written = (report.site_file, *filter(None, [report.policy_file]), *report.releases)
    lines += [f"Written: {path}" for path in written]
    return "\n".join(lines)


def _require_free(workspace: Workspace, logs: Sequence[str], customers: str | None, *, overwrite: bool) -> None:
    if not logs and not customers:
        raise ConfigurationError(
            "a site must have visitor logs or customers", value="neither", remedy="Name at least one source."
        )
    written = [workspace.site_file, *(workspace.home / "releases" / f"{name}.yaml" for name in _RELEASES)]
    for path in written:
        if path.exists() and not overwrite:
            raise ConfigurationError(
                "a file that an engineer may have changed is not overwritten",
                value=path,
                remedy="Edit it, move it away, or ask for overwriting.",
            )


def _texts(
    visitors: VisitorPlan | None, plan: CustomerPlan | None, source: DatabaseSource | CsvSource | None
) -> dict[str, str]:
    """Contents by path inside the site's folder; the site file stands last, as it is put in place last."""
    texts = {}
    if visitors:
        texts["releases/weekly_visitors.yaml"] = visitor_release(visitors)
    if plan:
        texts["releases/monthly_customers.yaml"] = customer_release(plan)
    return texts | {"site.yaml": site_text(visitors, plan, source)}


def _put_in_place(workspace: Workspace, texts: Mapping[str, str]) -> None:
    """Write everything aside, validate it as the stages will, and move it in; only the owner may read it."""
    try:
        workspace.home.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".first-site-", dir=workspace.home))
        try:
            for name, text in texts.items():
                (draft / name).parent.mkdir(exist_ok=True)
                (draft / name).write_text(text, encoding="utf-8")
            _validate(draft)
            (workspace.home / "releases").mkdir(exist_ok=True)
            (draft / "site.yaml").chmod(0o600)  # the address of a database may hold a password
            for name in texts:
                os.replace(draft / name, workspace.home / name)  # noqa: PTH105 - replaces on every platform
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as failure:
        raise ConfigurationError(
            "the site's folder must be writable",
            value=f"{workspace.home} ({type(failure).__name__})",
            remedy="Check its permissions.",
        ) from None


def _validate(draft: Path) -> None:
    site, policy = load_site(draft / "site.yaml"), Workspace(draft).policy_file
    for specification in load_specifications(draft / "releases"):
        bind(specification, site)
        if policy.exists():  # its own: one that was there says what it says
            require_covered(load_policy(policy), specification, None, dt.datetime.now(_ZONE).date())


def _report(
    workspace: Workspace,
    texts: Mapping[str, str],
    visitors: VisitorPlan | None,
    plan: CustomerPlan | None,
    source: DatabaseSource | CsvSource | None,
) -> OnboardingReport:
    periods: dict[Population, tuple[Period, ...]] = {}
    took: list[str] = []
    left: list[tuple[str, str]] = []
    notes: list[str] = []
    if visitors:
        periods[Population.VISITORS] = visitors.periods
        took += visitors.took
        left += visitors.left
        notes += visitors.notes
    if plan and source:
        periods[Population.CUSTOMERS] = (plan.period,)
        took += _took(plan, source)
        left += plan.left
        if len(plan.dimensions) > MOST_TABLES:
            notes.append(
                f"monthly_customers has the first {MOST_TABLES} dimensions only: each table makes all less exact"
            )
    releases = tuple(workspace.home / name for name in texts if name.startswith("releases/"))
    policy = workspace.policy_file if workspace.policy_file.name in texts else None
    if policy:
        notes.append(
            "policy.yaml says what your privacy notice covers, and was written without having seen it: correct it"
        )
    return OnboardingReport(workspace.site_file, policy, releases, tuple(took), tuple(left), periods, tuple(notes))


def _took(plan: CustomerPlan, source: DatabaseSource | CsvSource) -> list[str]:
    where = f"table {source.table}" if isinstance(source, DatabaseSource) else Path(source.path).name
    took = [f"customers: {where}, told apart by {plan.person}, which becomes a pseudonym"]
    if plan.signed_up:
        took.append(f"date of sign-up: {plan.signed_up}, to leave out who signed up later")
    kinds = {
        "country": "as a country",
        "category": "common values only",
        "band": "in round bands",
        "year": "the year only",
    }
    took += [f"{column.column}: {kinds[column.kind]}" for column in plan.dimensions.values()]
    return took
