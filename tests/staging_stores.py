"""Staging in a real S3 server, by the settings that a deployment has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from pipeline.deidentify.places import ObjectStore, staging_place
from pipeline.workspace import STAGING_VARIABLE, Workspace
from tests.stores import PASSWORD, s3_files, s3_server

ADDRESS: Final = "s3://bucket/site"
SECRET: Final = PASSWORD


@contextmanager
def s3_staging() -> Iterator[ObjectStore]:
    """The place that ``DEMOGRAPHICS_STAGING`` names while the block runs, empty at first."""
    with s3_server() as port, pytest.MonkeyPatch.context() as patched:
        s3_files(port).mkdir("bucket")
        for name, value in environment_of(port).items():
            patched.setenv(name, value)
        place = staging_place(Workspace(Path("/nowhere")))
        assert isinstance(place, ObjectStore)
        yield place


def environment_of(port: int) -> dict[str, str]:
    """What a process is told to have its staging there."""
    return {
        STAGING_VARIABLE: ADDRESS,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "AKIA-of-staging",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def untouched(place: ObjectStore) -> dict[str, tuple[bytes, str, str]]:
    """Every object by its name: content, ETag, and when it was written."""
    found = {}
    for name in place.names():
        told = place.files.info(place.at(name))
        found[name] = (place.files.cat_file(place.at(name)), told["ETag"], str(told["LastModified"]))
    return found
