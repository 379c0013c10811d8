"""The API is asked what its own schema allows, and what it does not: it answers as it says, and never fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from pipeline.delivery.tokens import Tokens
from tests.delivering import DeliveredSite, small
from tests.portals import Portal, serving

PRODUCT = "weekly_audience"
KNOWN: dict[str, list[Any]] = {
    "product": [PRODUCT],
    "period": ["2026-W41"],
    "revision": [1],
    "table": ["by_browser"],
    "name": ["by_browser.csv", "manifest.json"],
    "format": ["json", "csv", "parquet"],
}
EXAMPLES = 25
ACME = {"recipients": [{"name": "acme", "title": "A", "audience": "partner", "receives": {PRODUCT: {}}}]}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Portal, str]]:
    site = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = site.reviewer()
    site.offer(small(release=PRODUCT))
    site.entitle(ana, ACME)
    site.deliver(small(release=PRODUCT), "2026-W41", ana)
    with serving(site.workspace) as found:
        yield found, Tokens.of(site.workspace).issue("acme").secret


@pytest.fixture(scope="module")
def schema(portal: tuple[Portal, str]) -> Any:
    """The schema as a recipient's program reads it."""
    served, secret = portal
    address = f"http://127.0.0.1:{served.app.state.port}"
    found = httpx.get(f"{address}/api/v1/openapi.json", headers={"Authorization": f"Bearer {secret}"}).json()
    made = schemathesis.openapi.from_dict(found)
    made.config.update(base_url=address)
    return made


def operations(schema: Any) -> list[Any]:
    return [found.ok() for found in schema.get_all_operations()]


def test_the_schema_has_every_address(schema: Any) -> None:
    assert len(operations(schema)) == 12


@pytest.mark.parametrize("with_token", [True, False])
def test_answers_are_as_the_schema_says_and_none_is_an_error_of_the_server(
    portal: tuple[Portal, str], schema: Any, with_token: bool
) -> None:
    headers = {"Authorization": f"Bearer {portal[1]}"} if with_token else {}
    statuses: set[int] = set()
    for operation in operations(schema):

        @given(case=operation.as_strategy(), chosen=st.data())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any, chosen: st.DataObject) -> None:
            for place in (case.path_parameters, case.query):
                for name in list(place or {}):
                    if name in KNOWN and chosen.draw(st.booleans()):
                        place[name] = chosen.draw(st.sampled_from(KNOWN[name]))
            answer = case.call(headers=headers)
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (case.formatted_path, answer.status_code)
            case.validate_response(
                answer,
                checks=[
                    not_a_server_error,
                    status_code_conformance,
                    response_schema_conformance,
                ],
            )

        ask()
    assert statuses >= ({200, 404} if with_token else {401})


def test_no_answer_names_a_file_of_this_machine(portal: tuple[Portal, str], schema: Any) -> None:
    assert "/tmp" not in json.dumps(schema.raw_schema)  # noqa: S108
