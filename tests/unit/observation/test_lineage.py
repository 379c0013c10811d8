"""Events of lineage: which data sets they name, and what is taken out of them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from openlineage.client.event_v2 import (
    DatasetEvent,
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    StaticDataset,
)
from openlineage.client.facet_v2 import (
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    ownership_job,
    source_code_job,
)

from pipeline.observation.lineage import OnlyDataSets, data_sets
from tests.end_to_end import planting
from tests.end_to_end.lineage import require_lineage

AT = "2026-12-01T06:50:20.123456+00:00"
RUN = "01a2306c-15a7-70ff-b26e-758c391a64b1"


def leaking() -> RunEvent:
    """All that Airflow might tell of a run, with somebody's identifiers in each of it."""
    told = planting.NAME
    return RunEvent(
        eventTime=AT,
        eventType=RunState.FAIL,
        producer="https://github.com/apache/airflow",
        run=Run(
            RUN,
            {
                "nominalTime": nominal_time_run.NominalTimeRunFacet(AT, AT),
                "errorMessage": error_message_run.ErrorMessageRunFacet(told, "python", told),
            },
        ),
        job=Job(
            "site",
            "export_weekly.draw",
            {
                "jobType": job_type_job.JobTypeJobFacet("BATCH", "AIRFLOW", "TASK"),
                "documentation": documentation_job.DocumentationJobFacet(told),
                "ownership": ownership_job.OwnershipJobFacet([ownership_job.Owner(told)]),
                "sourceCode": source_code_job.SourceCodeJobFacet("python", told),
            },
        ),
        inputs=[InputDataset("demographics://site", "staging/visitors"), InputDataset("file", f"/srv/{told}")],
        outputs=[OutputDataset("demographics://site", "releases/weekly"), OutputDataset("airflow", told)],
    )


def as_json(event: Any) -> dict[str, Any]:
    from openlineage.client.serde import Serde

    return Serde.to_dict(event)


def test_only_data_sets_ids_and_times_are_left() -> None:
    told = as_json(OnlyDataSets({}).transform(leaking()))
    require_lineage(told)
    assert planting.NAME not in str(told)
    assert told["run"]["facets"].keys() == {"nominalTime"}
    assert told["job"]["facets"].keys() == {"jobType"}
    assert [one["name"] for one in told["inputs"] + told["outputs"]] == ["staging/visitors", "releases/weekly"]


def test_a_name_of_a_job_is_redacted_too() -> None:
    event = attrs.evolve(leaking(), job=Job("site", f"job of {planting.EMAIL}"))
    assert as_json(OnlyDataSets({}).transform(event))["job"]["name"] == "job of [e-mail]"


def test_an_event_of_another_kind_is_not_sent() -> None:
    event = DatasetEvent(eventTime=AT, producer="https://example.org", dataset=StaticDataset("file", planting.NAME))
    assert OnlyDataSets({}).transform(event) is None


@pytest.mark.parametrize(
    ("dag", "task", "tags", "told"),
    [
        ("ingest_visitors", "finish", (), (("sources/visitor_logs",), ("staging/visitors",))),
        ("export_weekly", "draw", ("export", "visitors", "for partner"), (("staging/visitors",), ("releases/weekly",))),
        (
            "export_weekly",
            "publish",
            ("export", "visitors", "for partner", "for reseller"),
            (("releases/weekly",), ("published/partner/weekly", "published/reseller/weekly")),
        ),
        ("subject_requests", "apply", (), (("requests",), ("staging/visitors", "staging/customers"))),
        ("somebodys", "task", ("customers",), ((), ())),
    ],
)
def test_tasks_read_and_write_data_sets(dag: str, task: str, tags: tuple[str, ...], told: object) -> None:
    assert data_sets(dag, task, tags) == told
