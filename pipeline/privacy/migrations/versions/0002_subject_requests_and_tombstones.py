"""People's requests while they wait, and the tombstones that make later extracts leave them out.

Unlike the chain beside them these rows change and go: what names a person must not outlive its use.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "subject_key",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("check", sa.Text, nullable=False),
    )
    op.create_table(
        "subject_requests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("population", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("recorded", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("fingerprint", sa.Text, unique=True),
        sa.Column("row_key", sa.Text, unique=True),
        sa.Column("applied", sa.Text),
        sa.Column("outcome", sa.Text),
    )
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("request", sa.Text, primary_key=True),
        sa.Column("population", sa.Text, nullable=False, index=True),
        sa.Column("first", sa.Text),
        sa.Column("last", sa.Text),
        sa.Column("dimension_values", sa.Text, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
    )
