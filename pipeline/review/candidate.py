"""What a reviewer decides on, in one digest."""

from __future__ import annotations

import hashlib
import json


def candidate_digest(specification: str, artefact: str, checks: str) -> str:
    """SHA-256 over the SHA-256 of specification, tables and checks: any change of one changes it."""
    parts = {"specification": specification, "artefact": artefact, "checks": checks}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
