"""An export in a real Airflow whose task of drawing counts people on Spark, up to its reviewers."""

from __future__ import annotations

import pytest

from pipeline.spec import ReleaseKey
from tests.end_to_end.review_site import AWAIT, PERIOD, WAITING, review_airflow, write_review_site
from tests.engines import SHORT_LIVED, with_java

pytestmark = [pytest.mark.airflow, with_java]


def test_an_export_on_spark_waits_for_its_reviewers(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")
    monkeypatch.setenv("DEMOGRAPHICS_SPARK", "local[2]")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", SHORT_LIVED)
    workspace = write_review_site(tmp_path_factory.mktemp("site"), ["on_spark"])
    with review_airflow(workspace) as site:
        run = site.exporting("on_spark")["on_spark"]
        assert site.task_state(run, AWAIT) == WAITING
        logs = "".join(site.logs(run).values())
    assert f"Picked up JDK_JAVA_OPTIONS: {SHORT_LIVED}" in logs  # what Java says when it starts
    assert site.ledger.artefact(ReleaseKey("on_spark", PERIOD)) is not None
    assert not list((workspace.home / "spill").iterdir())
