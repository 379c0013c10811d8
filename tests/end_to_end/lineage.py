"""What an event of lineage may hold, as a JSON Schema: OpenLineage's own, cut to what this product tells."""

from __future__ import annotations

from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    properties = {**required, **optional}
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _facet(fields: dict[str, Any]) -> dict[str, Any]:
    return _object({"_producer": {"type": "string"}, "_schemaURL": {"type": "string"}, **fields})


def _constant(value: object) -> dict[str, object]:
    return {"const": value}


_WORD: Final = {"type": "string", "pattern": "^[a-z_]+(\\.[a-z_]+)?$"}
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_TIME: Final = {"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+(Z|\\+00:00)$"}
_EMPTY: Final = _object({})
_RUN_ALONE: Final = _object({"runId": _ID}, facets=_EMPTY)
_JOB_ALONE: Final = _object({"namespace": _constant("site"), "name": _WORD}, facets=_EMPTY)
_ROOT: Final = _object({"run": _RUN_ALONE, "job": _JOB_ALONE})
_FACETS: Final = _object(
    {},
    nominalTime=_facet({"nominalStartTime": _TIME, "nominalEndTime": _TIME}),
    parent=_facet({"run": _RUN_ALONE, "job": _JOB_ALONE, "root": _ROOT}),
    processing_engine=_facet(
        {"name": _constant("Airflow"), "version": {"type": "string"}, "openlineageAdapterVersion": {"type": "string"}}
    ),
)
_JOB_TYPE: Final = _facet(
    {
        "integration": _constant("AIRFLOW"),
        "jobType": _WORD | {"pattern": "^[A-Z]+$"},
        "processingType": _constant("BATCH"),
    }
)
_DATA_SET: Final = _object(
    {"namespace": _constant("demographics://site"), "name": {"type": "string", "pattern": "^[a-z_]+(/[a-z_]+)*$"}},
    facets=_EMPTY,
    inputFacets=_EMPTY,
    outputFacets=_EMPTY,
)
_DATA_SETS: Final = {"type": "array", "items": _DATA_SET}
SCHEMA: Final = _object(
    {
        "eventTime": _TIME,
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER"]},
        "producer": {"type": "string"},
        "schemaURL": {"type": "string", "pattern": "^https://openlineage.io/spec/.*RunEvent$"},
        "run": _object({"runId": _ID, "facets": _FACETS}),
        "job": _object({"namespace": _constant("site"), "name": _WORD, "facets": _object({"jobType": _JOB_TYPE})}),
        "inputs": _DATA_SETS,
        "outputs": _DATA_SETS,
    }
)


def require_lineage(event: dict[str, Any]) -> None:
    """Make sure that an event is one of OpenLineage, and holds nothing that could be of a person."""
    jsonschema.Draft202012Validator(SCHEMA).validate(event)
    RunEvent(  # the client checks ids and times
        eventTime=event["eventTime"],
        eventType=RunState[event["eventType"]],
        producer=event["producer"],
        run=Run(event["run"]["runId"]),
        job=Job(event["job"]["namespace"], event["job"]["name"]),
        inputs=[InputDataset(one["namespace"], one["name"]) for one in event["inputs"]],
        outputs=[OutputDataset(one["namespace"], one["name"]) for one in event["outputs"]],
    )
