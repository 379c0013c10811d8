"""The command ``demographics metrics``: what is so now, as Prometheus reads it."""

from __future__ import annotations

import click

from pipeline.cli_console import reported


@click.command()
def metrics() -> None:
    """Write gauges to standard output, as Prometheus reads them: budgets, requests, reviews, releases, notices, disk.

    They are those that Airflow's tasks tell, for who does not collect Airflow's metrics. Where the ledger cannot be
    read, demographics_ledger_up is 0, and what needs it is left out.
    """
    with reported():
        from pipeline.flow_observation import gauges, text_of

        click.echo(text_of(gauges()), nl=False)
