from __future__ import annotations

import pytest

from pipeline.validation import runs


@pytest.fixture
def without_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Data Docs out where a test is about verdicts: they do not depend on them and are made faster."""
    monkeypatch.setattr(runs, "_publish", lambda *_: None)
