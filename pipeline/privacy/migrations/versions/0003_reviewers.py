"""Accounts of privacy reviewers, their tokens and sessions, and a log of what was done with them.

Accounts, tokens and sessions change and go. Of the log no row changes: triggers refuse it, as of the chain of entries.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_LOG = "reviewer_events"
_MESSAGE = "the log of reviewers is append-only"


def upgrade() -> None:
    """Make the tables."""
    _accounts()
    op.create_table(
        _LOG,
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _accounts() -> None:
    op.create_table(
        "reviewer_accounts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.Text),
    )
    op.create_table(
        "reviewer_tokens",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account", sa.Text, nullable=False, index=True),
        sa.Column("sha256", sa.Text, unique=True),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("expires", sa.Text, nullable=False),
    )
    op.create_table(
        "reviewer_sessions",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False, index=True),
        sa.Column("began", sa.Text, nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
    )


def _sqlite_triggers() -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {_LOG}_keep_{change.lower()} BEFORE {change} ON {_LOG} "
            f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        )


def _postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change_of_reviewer_events() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$"
    )
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        op.execute(
            f"CREATE TRIGGER {_LOG}_keep_{change.lower()} BEFORE {change} ON {_LOG} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_reviewer_events()"
        )
