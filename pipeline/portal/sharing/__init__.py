"""Delta Sharing: recipients' tables for programs that speak its protocol, beneath ``/sharing``.

A share is a product, a schema a period, and a version a revision. Source of the protocol:
https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md
"""

from __future__ import annotations

from pipeline.portal.sharing.routes import PREFIX, router

__all__ = ["PREFIX", "router"]
