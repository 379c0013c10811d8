"""Where tables of customers and orders are: a database, or a delimited file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.documents import Document


class DatabaseSource(Document):
    """A table or view of a database that SQLAlchemy reaches."""

    kind: Literal["database"]
    """Says that the source is a database."""
    url: str | None = None
    """SQLAlchemy address; a relative SQLite path is relative to the site file. ``$NAME`` is taken from the environment,
    so that no password need stand here. Either this or ``connection``."""
    connection: str | None = None
    """Airflow connection that holds the address and the credentials. Either this or ``url``."""
    table: str
    """Table or view, optionally with its schema."""

    @model_validator(mode="after")
    def _one_address(self) -> DatabaseSource:
        if (self.url is None) == (self.connection is None):
            raise ValueError("a database must have either url or connection")
        return self


class CsvSource(Document):
    """A delimited text file with a header line."""

    kind: Literal["csv"]
    """Says that the source is a delimited file."""
    path: str
    """Relative to the site file."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What stands between two columns."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """How the file's characters are written as bytes."""


TableSource = Annotated[DatabaseSource | CsvSource, Field(discriminator="kind")]
