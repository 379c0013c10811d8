"""Entitlements that reviewers approved, recipients' tokens and sessions, what was downloaded, and who is to be told.

Tokens, sessions and notices change and go. Of approvals, downloads and the log of tokens no row changes: triggers
refuse it, as of the chain of entries.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_KEPT = ("entitlement_approvals", "downloads", "recipient_events")
_MESSAGE = "approvals of entitlements, downloads and the log of recipients are append-only"


def upgrade() -> None:
    """Make the tables."""
    _access()
    _records()
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _access() -> None:
    op.create_table(
        "entitlement_approvals",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )
    op.create_table(
        "recipient_tokens",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("recipient", sa.Text, nullable=False, index=True),
        sa.Column("sha256", sa.Text, unique=True),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("expires", sa.Text, nullable=False),
        sa.Column("revoked", sa.Text),
        sa.Column("made_with", sa.Integer, index=True),
    )
    op.create_table(
        "recipient_sessions",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("token", sa.Integer, nullable=False, index=True),
        sa.Column("began", sa.Text, nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
    )


def _records() -> None:
    op.create_table(
        "downloads",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("at", "recipient", "way", "shelf", "product", "period", "file", "part")
        ),
        sa.Column("token", sa.Integer),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_index("downloads_of_editions", "downloads", ["product", "period", "revision"])
    op.create_table(
        "recipient_events",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "recipient", "what", "about")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("recipient", "channel", "kind", "product", "period", "made", "state", "due", "problem")
        ),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.UniqueConstraint("recipient", "channel", "kind", "product", "period", "revision"),
    )
    op.create_index("notices_that_are_due", "notices", ["state", "due"])
    op.create_table(
        "webhook_secrets",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("recipient", "sha256", "made")),
        sa.Column("ends", sa.Text),
    )


def _sqlite_triggers() -> None:
    for table in _KEPT:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_keep_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
            )


def _postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change_of_delivery() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$"
    )
    for table in _KEPT:
        for change in ("UPDATE", "DELETE", "TRUNCATE"):
            op.execute(
                f"CREATE TRIGGER {table}_keep_{change.lower()} BEFORE {change} ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_delivery()"
            )
