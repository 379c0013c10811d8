"""Reads the tables of a bundle as they are published; whether the bundle is genuine is for ``verify`` to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.publication.encoding import read_parquet
from pipeline.publication.manifest import MANIFEST_NAME, Manifest
from pipeline.publication.seal import read_part


@dataclass(frozen=True)
class ReadBundle:
    """One bundle in memory.

    Attributes:
        manifest: What it says of itself.
        tables: By name, with the published columns.
    """

    manifest: Manifest
    tables: Mapping[str, pd.DataFrame]


def manifest_in(folder: Path) -> Manifest:
    """What a bundle says of itself.

    Raises:
        VerificationError: It is missing, or no manifest.
    """
    return Manifest.from_bytes(read_part(folder, MANIFEST_NAME))


def read_bundle(folder: Path) -> ReadBundle:
    """The tables of a bundle, from Parquet.

    Raises:
        VerificationError: A file of it is missing, or is not what the manifest says of it.
    """
    manifest = manifest_in(folder)
    names = {facts.name: facts for facts in manifest.tables}
    tables = {name: read_parquet(read_part(folder, f"{name}.parquet"), facts) for name, facts in names.items()}
    return ReadBundle(manifest, tables)
