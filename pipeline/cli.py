"""The command-line program ``demographics``.

Exit codes: 0 done; 2 wrong use, or an audit that finds a violation; 3 configuration or specification; 4 source;
5 staging; 6 budget; 7 ledger; 8 checks failed; 9 not approved; 10 publication; 11 verification; 12 a person's
request; 13 a reviewer's account or a recipient's token; 14 delivery; 15 a backup; 70 an error of the program; 1
anything else.
"""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pipeline import __version__
from pipeline.cli_config import config
from pipeline.cli_console import bar, reported
from pipeline.cli_entitlements import deliver, entitlements
from pipeline.cli_keys import keys
from pipeline.cli_metrics import metrics
from pipeline.cli_notices import notices
from pipeline.cli_portal import portal
from pipeline.cli_recipients import downloads, recipient
from pipeline.cli_recovery import backup, restore
from pipeline.cli_review import review, reviewer
from pipeline.cli_subject import subject
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace

if TYPE_CHECKING:
    from pipeline.spec import ReleaseKey

PROJECT: Final = Path(__file__).resolve().parents[1]
RUNS: Final = Path(".run")
SAMPLE_HOME: Final = RUNS / "sample"

PERIOD = click.option("--period", required=True, help="Day 2026-10-05, ISO week 2026-W41 or month 2026-10.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
@click.option("--home", type=click.Path(path_type=Path), envvar=HOME_VARIABLE, help="Folder of the site [.run/sample].")
@click.option("--releases", type=click.Path(path_type=Path), envvar=RELEASES_VARIABLE, help="Folder of specifications.")
def main(home: Path | None, releases: Path | None) -> None:
    """Aggregated demographics, exported under k-anonymity and differential privacy."""
    with reported():
        from pipeline.observation.logs import LogSettings, configure

        told = click.get_current_context().invoked_subcommand == config.name  # of the log's settings, too, at once
        configure(LogSettings.model_construct() if told else None)
    os.environ[HOME_VARIABLE] = str((home or SAMPLE_HOME).resolve())
    own = Path(os.environ[HOME_VARIABLE]) / "releases"
    os.environ[RELEASES_VARIABLE] = str(
        (releases or (own if own.is_dir() else PROJECT / "dags" / "releases")).resolve()
    )


@main.command()
@click.option("--seed", default=20261005, show_default=True, help="The same seed writes the same site.")
@click.option("--lines", default=600_000, show_default=True, help="Log lines of two weeks.")
@click.option("--visitors", default=40_000, show_default=True)
@click.option("--customers", default=30_000, show_default=True)
def sample(seed: int, lines: int, visitors: int, customers: int) -> None:
    """Write a synthetic software vendor's site: logs, customers, orders, and its site file."""
    from pipeline.sample import write_sample

    with reported() as console, bar(console) as progress:
        written = write_sample(
            _home(), seed=seed, lines=lines, visitors=visitors, customers=customers, progress=progress
        )
    console.print(
        f"A synthetic site is in {written.home}: {written.lines:,} log lines ({written.malformed_lines:,} malformed, "
        f"{written.bot_lines:,} of bots) of {written.visitors:,} visitors, {written.customers:,} customers, "
        f"{written.orders:,} orders; {written.lines / written.seconds:,.0f} lines a second.",
        highlight=False,
    )


@main.command()
@click.option("--logs", multiple=True, help="Path or glob of visitor logs; may be repeated.")
@click.option("--customers", help="CSV file, SQLite file, or SQLAlchemy address of a database.")
@click.option("--overwrite", is_flag=True, help="Replace a site file and specifications that are there.")
def init(logs: tuple[str, ...], customers: str | None, overwrite: bool) -> None:
    """Look at sources and write a first site file and specifications; identifiers are left out."""
    from pipeline.onboarding import describe, write_first_site

    with reported() as console, bar(console) as progress:
        report = write_first_site(_home(), logs, customers, progress, overwrite=overwrite)
    console.print(describe(report), markup=False, highlight=False)


@main.command()
@click.option("--logs", multiple=True, help="Own visitor logs instead of the sample; may be repeated.")
@click.option("--customers", help="Own customers instead of the sample: CSV, SQLite file, or SQLAlchemy address.")
def up(logs: tuple[str, ...], customers: str | None) -> None:
    """Run everything in a real Airflow on this machine, with a scripted reviewer, and sum up."""
    from pipeline.local import sites
    from pipeline.local.up import up as run_all

    with reported() as console:
        own = bool(logs or customers)
        home = sites.own_home(RUNS, logs, customers).resolve() if own else _home()
        with bar(console) as progress:
            if own:
                periods = sites.own_site(home, logs, customers, console, progress)
            else:
                periods = sites.sample_site(home, progress)
        releases = home / "releases" if own else Path(os.environ[RELEASES_VARIABLE])
        run_all(Workspace(home), periods, releases, console)


@main.command()
def check() -> None:
    """Check the site file, the policy, every specification against both, and entitlements against specifications."""
    from pipeline.delivery.approvals import Approvals
    from pipeline.policy import require_covered_today
    from pipeline.privacy.head import require_seen
    from pipeline.site import load_site
    from pipeline.spec import bind, load_specifications

    with reported() as console:
        workspace = Workspace.from_environment()
        site = load_site(workspace.site_file)
        require_seen(workspace)
        for specification in load_specifications(workspace.releases):
            bound = bind(specification, site)
            require_covered_today(workspace, specification)
            console.print(f"{specification.release}: valid, {len(bound.tables)} tables", highlight=False)
        approvals = Approvals.of(workspace)
        if (content := approvals.file()) is not None:
            found = approvals.checked(content)
            console.print(f"entitlements: valid, {len(found.recipients)} recipients", highlight=False)


@main.command()
@click.argument("release")
def plan(release: str) -> None:
    """Show what RELEASE would do, from public parameters alone: noise, group sizes, errors, the year's budget."""
    from pipeline.cli_plan import show_plan
    from pipeline.site import load_site
    from pipeline.spec import bind, load_specification

    with reported() as console:
        workspace = Workspace.from_environment()
        specification = load_specification(workspace.releases / f"{release}.yaml")
        show_plan(bind(specification, load_site(workspace.site_file)), console)


@main.command()
@click.argument("release")
@click.option("--rounds", default=240, show_default=True, help="Releases of each input; more find smaller faults.")
@click.option("--confidence", default=0.95, show_default=True, help="With which a correct pipeline passes.")
@click.option("--table", "tables", multiple=True, help="Attack this table only; may be given several times.")
@click.option("--processes", default=min(2, os.cpu_count() or 1), show_default=True, help="That draw at once.")
def audit(release: str, rounds: int, confidence: float, tables: tuple[str, ...], processes: int) -> None:
    """Attack RELEASE on made-up people: a lower bound on epsilon, held against what is claimed.

    Reads the specification and the site file, nothing of anybody, and spends nothing. Exit code 2 on a violation.
    """
    from pipeline.audit.auditing import Terms
    from pipeline.cli_audit import VIOLATION_EXIT_CODE, run_audit
    from pipeline.site import load_site
    from pipeline.spec import bind, load_specification

    with reported() as console, bar(console) as progress:
        workspace = Workspace.from_environment()
        specification = load_specification(workspace.releases / f"{release}.yaml")
        terms = Terms(rounds, confidence, frozenset(tables))
        holds = run_audit(bind(specification, load_site(workspace.site_file)), terms, processes, console, progress)
    if not holds:
        sys.exit(VIOLATION_EXIT_CODE)


@main.command()
@click.argument("release")
@PERIOD
@click.option(
    "--revise",
    is_flag=True,
    help="Make a revision of a RELEASE that was drawn: all its tables anew, at their full cost in budget, and to be "
    "reviewed anew. Needs --reason.",
)
@click.option(
    "--reason",
    default="",
    help="Why it is revised; kept in the ledger. A reason makes one revision: the same command again, after a crash "
    "for example, returns that one and spends nothing.",
)
def run(release: str, period: str, *, revise: bool, reason: str) -> None:
    """Run RELEASE up to the reviewer's decision, without Airflow."""
    from pipeline import flow

    if revise is not bool(reason.strip()) or not reason.isprintable():
        raise click.UsageError("--revise and --reason belong together: a revision needs its reason, in one line.")
    with reported() as console, bar(console) as progress:
        key = flow.run(release, period, progress, reason.strip(), getpass.getuser())
        report = _report(flow.standing(release, period))
    console.print(
        f"{key} is drawn and checked.\nReport: {report}\nNext:   demographics portal, or demographics review approve",
        highlight=False,
    )


@main.command()
@click.argument("release")
@PERIOD
def publish(release: str, period: str) -> None:
    """Write the bundles of an approved RELEASE."""
    from pipeline import flow

    with reported() as console:
        console.print(f"{flow.publish(release, period)} is published.", highlight=False)


@main.command()
@click.argument("release")
@PERIOD
def explain(release: str, period: str) -> None:
    """Tell every step from source to number of a drawn RELEASE, in words."""
    from pipeline import flow

    with reported() as console:
        console.print(flow.explain(release, period), markup=False, highlight=False)


@main.command()
def budget() -> None:
    """Show what releases have cost by population, by period and by release, and what is left of the year."""
    from pipeline import flow
    from pipeline.cli_budget import show_budget

    with reported() as console:
        show_budget(flow.budgets(), *flow.balances(), console)


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", "--public-key", "key", help="The publisher's minisign public key, or a file that holds it.")
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    help="The publisher's keys.json: trust the keys that --key leads to, too.",
)
def verify(bundle: Path, key: str | None, keys: Path | None) -> None:
    """Check that BUNDLE is complete, genuine, and agrees with itself."""
    from pipeline.publication.verify import keys_for, verify_bundle

    with reported() as console:
        for item in verify_bundle(bundle, keys_for(key, keys)):
            console.print(f"[green]passed[/]  {item.name}", highlight=False)
        console.print("The bundle is genuine and complete.", highlight=False)


@main.command()
@click.option("--write/--check", default=False, help="Write the files, or only compare them [--check].")
def reference(*, write: bool) -> None:
    """Compare docs/specification.md, docs/settings.md and the JSON Schemas with the program, or write them anew."""
    from pipeline.reference import check_reference, write_reference

    with reported() as console:
        if write:
            for path in write_reference(PROJECT / "docs"):
                console.print(str(path), markup=False, highlight=False)
        else:
            check_reference(PROJECT / "docs")
            console.print("The reference says what the program does.", highlight=False)


def _home() -> Path:
    return Path(os.environ[HOME_VARIABLE])


def _report(key: ReleaseKey) -> Path:
    return Workspace.from_environment().report(key.release, key.period, key.revision)


for command in (
    *(subject, review, reviewer, entitlements, deliver, recipient, downloads, notices, keys, portal, metrics),
    *(backup, restore, config),
):
    main.add_command(command)


if __name__ == "__main__":
    main()
