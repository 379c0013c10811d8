"""Many clients that download at once, in a process of their own so that they take nothing from who serves.

Reads from standard input, as JSON, what to ask for; writes to standard output what came of it. Asks 127.0.0.1 alone.
Run as a program, it imports nothing of the project.
"""

from __future__ import annotations

import asyncio
import collections
import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

_EVERY: Final = 10  # of so many downloads the digest of one is checked
_PATIENCE: Final = 30.0  # seconds for one answer; whatever takes longer is an error


@dataclass(frozen=True)
class Wanted:
    """A file that is asked for.

    Attributes:
        path: Of the address.
        bytes: Its size.
        sha256: Its digest.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Came:
    """What came of it.

    Attributes:
        seconds: From the first request to the last byte.
        downloads: How many came whole.
        bytes: Of their bodies together.
        checked: Of how many the digest was looked at.
        errors: What else came, and how often.
        taken: Seconds of each download, the shortest first.
    """

    seconds: float
    downloads: int
    bytes: int
    checked: int
    errors: Mapping[str, int]
    taken: Sequence[float]

    def percentile(self, share: float) -> float:
        """The seconds within which that share of downloads came, 0 to 1."""
        return self.taken[min(len(self.taken) - 1, int(len(self.taken) * share))] if self.taken else float("inf")


def downloaded(port: int, shelves: Sequence[tuple[str, Sequence[Wanted]]], clients: int, seconds: float) -> Came:
    """Download files on that port of this machine, again and again.

    Args:
        port: Of 127.0.0.1.
        shelves: Tokens, empty for none, and the files that each is used for; clients take them in turn.
        clients: How many ask at once, on a connection each that stays open.
        seconds: For how long new requests begin; what has begun is waited for.
    """
    told = [(token, [asdict(one) for one in files]) for token, files in shelves]
    plan = {"port": port, "shelves": told, "clients": clients, "seconds": seconds}
    most = seconds + 2 * _PATIENCE
    done = subprocess.run(
        [sys.executable, __file__], input=json.dumps(plan), capture_output=True, text=True, timeout=most, check=True
    )
    return Came(**json.loads(done.stdout))


class _Tally:
    def __init__(self, until: float) -> None:
        self.until, self.bytes, self.checked = until, 0, 0
        self.errors: collections.Counter[str] = collections.Counter()
        self.taken: list[float] = []


class _Client(asyncio.BufferedProtocol):
    """One connection, on which files come one after the other."""

    # What arrives is looked at and forgotten, before anything else arrives: all clients have one place for it.
    _place: Final = bytearray(2**18)

    def __init__(self, tally: _Tally, token: str, files: Sequence[Wanted], chance: random.Random) -> None:
        self._tally, self._token, self._files, self._chance = tally, token, files, chance
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def connection_lost(self, _failure: Exception | None) -> None:
        self._end("the connection was lost")

    def get_buffer(self, _hint: int) -> bytearray:
        return self._place

    def buffer_updated(self, length: int) -> None:
        if self._left is None:
            self._head += self._place[:length]
            head, blank, rest = self._head.partition(b"\r\n\r\n")
            if blank:
                self._begin(bytes(head), bytes(rest))
        else:
            self._take(memoryview(self._place)[:length])

    def _ask(self) -> None:
        if time.monotonic() >= self._tally.until:
            self._end("")
            return
        self._wanted = self._chance.choice(self._files)
        self._head, self._left = bytearray(), None
        self._digest = hashlib.sha256() if self._chance.randrange(_EVERY) == 0 else None
        self._asked = time.monotonic()
        bears = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        self._transport.write(f"GET {self._wanted.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bears}\r\n".encode())

    _left: int | None = None

    def _begin(self, head: bytes, rest: bytes) -> None:
        status, _, lines = head.decode("latin-1").partition("\r\n")
        told = dict(line.lower().split(": ", 1) for line in lines.split("\r\n"))
        number, length = status.split(" ")[1], int(told.get("content-length", -1))
        if number != "200" or length != self._wanted.bytes:
            self._end(f"status {number}, {'another' if length != self._wanted.bytes else 'the right'} length")
            return
        self._left = length
        self._take(memoryview(rest))

    def _take(self, piece: memoryview) -> None:
        assert self._left is not None
        self._left -= len(piece)
        if self._digest is not None:
            self._digest.update(piece)
        if self._left < 0:
            self._end("more came than was announced")
        elif self._left == 0:
            self._came()

    def _came(self) -> None:
        taken = time.monotonic() - self._asked
        if self._digest is not None:
            self._tally.checked += 1
        if self._digest is not None and self._digest.hexdigest() != self._wanted.sha256:
            self._end("another digest")
        elif taken > _PATIENCE:
            self._end("too late")
        else:
            self._tally.taken.append(taken)
            self._tally.bytes += self._wanted.bytes
            self._ask()

    def _end(self, error: str) -> None:
        if not self.ended.done():
            self._tally.errors.update([error] if error else [])
            self.ended.set_result(None)
            self._transport.close()


async def _all(port: int, shelves: Sequence[tuple[str, Sequence[Wanted]]], clients: int, seconds: float) -> Came:
    loop, begun = asyncio.get_running_loop(), time.monotonic()
    tally, made = _Tally(begun + seconds), []
    for number in range(clients):
        token, files = shelves[number % len(shelves)]
        client = _Client(tally, token, files, random.Random(number))  # noqa: S311  it chooses files
        made.append(client.ended)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    _, late = await asyncio.wait(made, timeout=seconds + _PATIENCE)
    tally.errors.update(["no answer"] * len(late))
    taken = sorted(tally.taken)
    return Came(time.monotonic() - begun, len(taken), tally.bytes, tally.checked, dict(tally.errors), taken)


def main() -> None:
    """Ask for what standard input says."""
    plan = json.load(sys.stdin)
    shelves = [(token, [Wanted(**one) for one in files]) for token, files in plan["shelves"]]
    runner = asyncio.run
    if sys.platform == "linux":
        import uvloop

        runner = uvloop.run
    came = runner(_all(plan["port"], shelves, plan["clients"], plan["seconds"]))
    json.dump(asdict(came), sys.stdout)


if __name__ == "__main__":
    main()
