"""The API for recipients' programs, beneath ``/api/v1``; its own schema is at ``/api/v1/openapi.json``."""

from __future__ import annotations

from pipeline.portal.api.routes import PREFIX, router

__all__ = ["PREFIX", "router"]
