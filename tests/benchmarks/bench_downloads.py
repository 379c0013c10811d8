"""How 200 clients that download for a minute fare, and how they fare with nginx for the very same files.

python tests/benchmarks/bench_downloads.py [SECONDS]

The portal runs as ``demographics portal`` does, the clients in a process of their own. Each has a token of its own and
a connection of its own, and asks for one file of its recipient after the other, at random: two bundles of real size, of
which one has a table of several megabytes. Each answer's status and length is looked at, of one in ten the digest.
nginx gives out the same files from the same folder, to the same clients, without asking who they are.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

# Some installed package is called ``tests`` too, and would be found first.
_OWN = ModuleType("tests")
_OWN.__path__ = [str(Path(__file__).parents[1])]
sys.modules["tests"] = _OWN

from pipeline.delivery.downloads import Downloads  # noqa: E402
from pipeline.delivery.tokens import Tokens  # noqa: E402
from pipeline.publication.manifest import MANIFEST_NAME, Manifest  # noqa: E402
from pipeline.vocabulary import Audience  # noqa: E402
from tests.delivering import DeliveredSite, sample  # noqa: E402
from tests.downloading import Came, Wanted, downloaded  # noqa: E402
from tests.fronts import free_port, nginx  # noqa: E402
from tests.portal_processes import PortalProcess, portal_process  # noqa: E402

CLIENTS: Final = 200
SECONDS: Final = 60.0
SLOWEST: Final = 1.0  # seconds, at the 99th percentile
MOST_MEMORY: Final = 512.0  # MiB of the portal and its children
MOST_GROWTH: Final = 32.0  # MiB between the first quarter of the minute and the rest
RECIPIENTS: Final = {"acme": Audience.PARTNER, "adline": Audience.ADVERTISER}
EDITIONS: Final = (("weekly_audience", "2026-W41"), ("weekly_detail", "2026-W41"))


def detailed() -> dict[str, Any]:
    """A specification whose one table has thousands of rows, with so little protection as only made-up people bear."""
    table = {
        "name": "visitors_in_detail",
        "title": "Visitors in detail",
        "dimensions": ["country", "language", "operating_system", "browser"],
    }
    privacy = {"epsilon": 8, "delta": 1e-7, "k": 2}
    audiences = {"partner": ["visitors_in_detail"]}
    return sample("weekly_audience", release="weekly_detail", tables=[table], audiences=audiences, privacy=privacy)


def publish(site: DeliveredSite) -> None:
    """Two bundles, and who may read them."""
    ana = site.reviewer()
    for specification in (sample("weekly_audience"), detailed()):
        site.offer(specification)
    receives = {Audience.PARTNER: ["weekly_audience", "weekly_detail"], Audience.ADVERTISER: ["weekly_audience"]}
    named: list[dict[str, Any]] = [
        {
            "name": name,
            "title": name.title(),
            "audience": audience.value,
            "receives": {product: {} for product in receives[audience]},
        }
        for name, audience in RECIPIENTS.items()
    ]
    site.entitle(ana, {"recipients": named})
    site.deliver(sample("weekly_audience"), "2026-W41", ana, people=100_000)
    site.deliver(detailed(), "2026-W41", ana, people=400_000)


def files_of(site: DeliveredSite, audience: Audience, *, static: bool) -> list[Wanted]:
    """What one kind of recipient downloads: every file, but of the large bundle its table only."""
    found: list[Wanted] = []
    for product, period in EDITIONS:
        folder = site.workspace.bundle(audience, product, period, 1)
        if not folder.exists():
            continue
        place = f"/api/v1/products/{product}/editions/{period}/1/files"
        place = f"/{folder.relative_to(site.workspace.published)}" if static else place
        listed = Manifest.from_bytes((folder / MANIFEST_NAME).read_bytes()).files
        chosen = [one for one in listed if product == "weekly_audience" or one.path.startswith("visitors_in_detail.")]
        found += [Wanted(f"{place}/{one.path}", one.bytes, one.sha256) for one in chosen]
    return found


def shelves(site: DeliveredSite, *, static: bool) -> list[tuple[str, list[Wanted]]]:
    """For each client a token of its own, and what its recipient downloads; no token where nobody asks for one."""
    tokens, names = Tokens.of(site.workspace), list(RECIPIENTS)
    made = []
    for number in range(CLIENTS):
        name = names[number % len(names)]
        secret = "" if static else tokens.issue(name).secret
        made.append((secret, files_of(site, RECIPIENTS[name], static=static)))
    return made


@contextmanager
def watched(portal: PortalProcess) -> Iterator[list[float]]:
    """MiB of memory that the portal and its children have, every fifth of a second."""
    seen, done = [portal.memory() / 2**20], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            seen.append(portal.memory() / 2**20)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


def told(name: str, came: Came) -> None:
    """Print what came of it."""
    times = (came.percentile(share) * 1000 for share in (0.5, 0.99, 1))
    each = "".join(f"{milliseconds:9.0f}" for milliseconds in times)
    rate, bandwidth = came.downloads / came.seconds, came.bytes / came.seconds / 1e6
    print(f"{name:8}{came.downloads:10}{sum(came.errors.values()):8}{each}{rate:12.0f}{bandwidth:9.1f}")
    for error, times_seen in came.errors.items():
        print(f"  {times_seen} x {error}")


def of_portal(site: DeliveredSite, seconds: float) -> tuple[Came, bool]:
    """What came of it with the portal; whether it was within the bounds."""
    before = len(list(Downloads.of(site.workspace).listed()))
    with portal_process(site.workspace, part="recipients") as portal, watched(portal) as memory:
        came = downloaded(portal.port, shelves(site, static=False), CLIENTS, seconds)
    told("portal", came)
    lines = len(list(Downloads.of(site.workspace).listed())) - before
    quarter = len(memory) // 4
    growth = max(memory[quarter:]) - max(memory[:quarter])
    print(f"  log of downloads: {lines} new lines for {came.downloads} downloads; digests looked at: {came.checked}")
    print(f"  memory: {memory[0]:.0f} MiB before, {max(memory):.0f} at most; {growth:.0f} more after the first quarter")
    within = max(memory) <= MOST_MEMORY and growth <= MOST_GROWTH
    return came, within and not came.errors and lines == came.downloads and came.percentile(0.99) < SLOWEST


def of_nginx(site: DeliveredSite, folder: Path, seconds: float) -> Came:
    """What came of it with nginx."""
    port = free_port()
    kept = "sendfile on; keepalive_requests 10000000;"
    server = f"server {{ listen 127.0.0.1:{port} backlog=1024; root {site.workspace.published}; {kept} }}"
    with nginx(folder, server, port):
        came = downloaded(port, shelves(site, static=True), CLIENTS, seconds)
    told("nginx", came)
    return came


def main() -> int:
    """Measure, print what came out, and fail beyond the bounds."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        site, begun = DeliveredSite(Path(folder, "site")), time.perf_counter()
        publish(site)
        files = [one for audience in RECIPIENTS.values() for one in files_of(site, audience, static=True)]
        sizes = sorted(one.bytes for one in files)
        print(f"{len(files)} files published in {time.perf_counter() - begun:.0f} s, up to {sizes[-1] / 1e6:.1f} MB")
        print(f"{'':8}{'downloads':>10}{'errors':>8}{'median':>9}{'99th':>9}{'slowest':>9}{'a second':>12}{'MB/s':>9}")
        portal, within = of_portal(site, seconds)
        front = of_nginx(site, Path(folder, "nginx"), seconds)
        ratio = front.bytes / front.seconds / (portal.bytes / portal.seconds)
        print(f"times in milliseconds; nginx gives out {ratio:.1f} times as many bytes a second")
        print(
            f"bounds: no error, each in the log, 99th below {SLOWEST * 1000:.0f}, memory at most {MOST_MEMORY:.0f} MiB"
        )
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())
