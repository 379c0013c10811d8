"""A collector of OpenTelemetry's metrics on loopback."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


@dataclass
class Collector:
    """Where it listens, and which metrics with which labels it was told."""

    port: int
    told: set[tuple[object, ...]] = field(default_factory=set)

    def read(self, content: bytes) -> None:
        """Take in one message."""
        for resource in ExportMetricsServiceRequest.FromString(content).resource_metrics:
            for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                self.told |= {(metric.name, *sorted(_labels(point))) for point in _points(metric)}


def _points(metric: Any) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points


def _labels(point: Any) -> Iterator[tuple[str, str]]:
    for one in point.attributes:
        yield one.key, one.value.string_value


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Collect until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.read(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
