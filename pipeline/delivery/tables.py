"""The tables of delivery as queries name them; how they are made stands in ``privacy.migrations``."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

APPROVALS: Final = sa.table(
    "entitlement_approvals",
    sa.column("number", sa.Integer),
    *(sa.column(name, sa.Text) for name in ("at", "reviewer", "sha256", "signature")),
    sa.column("content", sa.LargeBinary),
)
TOKENS: Final = sa.table(
    "recipient_tokens",
    *(sa.column(name, sa.Integer) for name in ("number", "made_with")),
    *(sa.column(name, sa.Text) for name in ("recipient", "sha256", "scopes", "label", "made", "expires", "revoked")),
)
SESSIONS: Final = sa.table(
    "recipient_sessions",
    sa.column("token", sa.Integer),
    *(sa.column(name, sa.Text) for name in ("sha256", "began", "seen")),
)
EVENTS: Final = sa.table(
    "recipient_events",
    sa.column("number", sa.Integer),
    *(sa.column(name, sa.Text) for name in ("at", "recipient", "what", "about")),
)
DOWNLOADS: Final = sa.table(
    "downloads",
    *(sa.column(name, sa.Integer) for name in ("number", "token", "revision")),
    *(sa.column(name, sa.Text) for name in ("at", "recipient", "way", "shelf", "product", "period", "file", "part")),
)
NOTICES: Final = sa.table(
    "notices",
    *(sa.column(name, sa.Integer) for name in ("revision", "tries")),
    *(
        sa.column(name, sa.Text)
        for name in ("id", "recipient", "channel", "kind", "product", "period", "made", "state", "due", "problem")
    ),
)
WEBHOOK_SECRETS: Final = sa.table(
    "webhook_secrets",
    sa.column("number", sa.Integer),
    *(sa.column(name, sa.Text) for name in ("recipient", "sha256", "made", "ends")),
)
