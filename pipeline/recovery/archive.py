"""The archive inside a backup: a tar with gzip, of files and rows of tables, and at its end what all of them are."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Annotated, Final

from pydantic import Field, ValidationError

from pipeline.documents import Document
from pipeline.errors import RecoveryError
from pipeline.recovery.sealing import altered

FORMAT: Final = 1
MANIFEST_NAME: Final = "backup.json"
SIGNATURE_NAME: Final = "backup.json.minisig"
SITE: Final = "site/"  # files of the site's folder, under their paths in it
LEDGER: Final = "ledger/"  # rows of the ledger's tables
_FAST: Final = 1  # level of compression: most of it are tables that are compressed already
_BLOCK: Final = 512
_GZIP: Final = 31  # zlib's word for gzip with the largest window
_NAME: Final = re.compile(r"[^./\x00][^/\x00]*(/[^./\x00][^/\x00]*)*")  # nothing hidden, and no way up
_MOST_BYTES: Final = 2**33  # of one member, eight gigabytes: more is no backup of this program

# What is put in: its name, and its bytes.
Member = tuple[str, bytes]


class MemberFacts(Document):
    """What one member of the archive is."""

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class BackupManifest(Document):
    """What a backup is, and everything that is in it."""

    format: int
    made: str
    """ISO 8601, UTC: what was done later is not in it."""
    program: str
    """Version of the program that made it."""
    ledger_version: str
    """Version of the ledger's tables."""
    entries: Annotated[int, Field(ge=0)]
    """Of the ledger: the number of the last one."""
    head_sha256: str
    """Of the last entry; empty where there is none."""
    rows: dict[str, int]
    """By table of the ledger."""
    members: tuple[MemberFacts, ...]
    """All but this manifest and its signature."""

    def to_bytes(self) -> bytes:
        """JSON, the same bytes for the same manifest."""
        return (json.dumps(self.model_dump(mode="json"), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> BackupManifest:
        """Read what ``to_bytes`` wrote.

        Raises:
            RecoveryError: A later program wrote it, or it is none.
        """
        try:
            document = json.loads(content)
            number = int(document["format"])
            if number <= FORMAT:
                return cls.model_validate(document)
        except (ValueError, TypeError, KeyError, ValidationError):
            raise altered(MANIFEST_NAME) from None
        raise RecoveryError(
            f"a backup must be of a format that this program knows, {FORMAT} or earlier",
            value=f"format {number}, by version {document.get('program', 'unknown')!s:.20}",
            remedy="Restore it with that version of the program, or a later one.",
        )

    @property
    def at(self) -> dt.datetime:
        """When it was made."""
        return dt.datetime.fromisoformat(self.made)


def facts_of(member: Member) -> MemberFacts:
    """What a member is."""
    name, content = member
    return MemberFacts(name=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def packed(members: Iterator[Member], made: dt.datetime) -> Iterator[bytes]:
    """The archive of these members, piece by piece."""
    packer = zlib.compressobj(_FAST, wbits=_GZIP)
    for piece in _tar(members, int(made.timestamp())):
        yield packer.compress(piece)
    yield packer.flush()


def _tar(members: Iterator[Member], at: int) -> Iterator[bytes]:
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(content), 0o600, at
        yield info.tobuf(tarfile.PAX_FORMAT)
        yield content
        yield bytes(-len(content) % _BLOCK)
    yield bytes(2 * _BLOCK)


def unpacked(stream: IO[bytes]) -> Iterator[Member]:
    """The members of an archive, in their order.

    Raises:
        RecoveryError: It is no such archive, or holds what no backup holds.
    """
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for info in archive:
                if not info.isfile() or info.size > _MOST_BYTES or not _NAME.fullmatch(info.name) or info.name in names:
                    raise altered("a member of the archive")
                names.add(info.name)
                file = archive.extractfile(info)
                assert file is not None
                yield info.name, file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError):
        raise altered("the archive") from None
