"""A StatsD listener on loopback, which reads the tags that Airflow writes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Value:
    """One value of one metric, as it was told."""

    name: str
    labels: Mapping[str, str]
    value: str
    kind: str


@dataclass
class Heard:
    """Everything that was told, in order."""

    values: list[Value] = field(default_factory=list)

    def value(self, name: str, **labels: str) -> float:
        """The last value of one of ours with these labels."""
        return next(
            float(one.value)
            for one in reversed(self.values)
            if one.name == f"airflow.demographics.{name}" and one.labels == labels
        )


@dataclass
class Listener:
    """Where it listens, and what it has heard."""

    port: int
    heard: Heard


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    """Listen until the block is left; what was sent until then is heard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.bind(("127.0.0.1", 0))
        listener = Listener(receiver.getsockname()[1], Heard())
        thread = threading.Thread(target=_hear, args=(receiver, listener.heard))
        thread.start()
        try:
            yield listener
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"", ("127.0.0.1", listener.port))  # the end
            thread.join()


def _hear(receiver: socket.socket, heard: Heard) -> None:
    while datagram := receiver.recv(65_535):
        for line in datagram.decode().splitlines():
            named, _, told = line.rpartition(":")
            name, *labels = named.split(",")
            value, kind = told.split("|")[:2]
            heard.values.append(Value(name, dict(one.split("=", 1) for one in labels), value, kind))
