"""Run by Alembic: migrates on the connection that the ledger passes in, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
