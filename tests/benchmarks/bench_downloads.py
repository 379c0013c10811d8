"""How 200 clients that download for a minute fare, and how they fare with nginx for the very same files.

The portal runs as ``demographics portal`` does, the clients in a process of their own. Each has a token of its own and
a connection of its own, and asks for one file of its recipient after the other, at random: two bundles of real size, of
which one has a table of several megabytes. Each answer's status and length is looked at, of one in ten the digest.
nginx gives out the same files from the same folder, to the same clients, without asking who they are.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeline.delivery.downloads import Downloads
from pipeline.delivery.tokens import Tokens
from pipeline.publication.manifest import MANIFEST_NAME, Manifest
from pipeline.vocabulary import Audience
from tests.benchmarks.measuring import Memory
from tests.benchmarks.reporting import Amount, Figure, LeftOut, Ratio, at_most, no_more_than
from tests.delivering import DeliveredSite, sample
from tests.downloading import Came, Wanted, downloaded
from tests.fronts import free_port, nginx
from tests.portal_processes import portal_process

CLIENTS: Final = 200
SECONDS: Final = 60.0
PEOPLE: Final = 100_000
SLOWEST: Final = 1_000.0  # milliseconds, at the 99th percentile
MOST_MEMORY: Final = 512.0  # MB of the portal and its children
MOST_GROWTH: Final = 1.15  # of the peak in the first quarter of the time
RECIPIENTS: Final = {"acme": Audience.PARTNER, "adline": Audience.ADVERTISER}
EDITIONS: Final = (("weekly_audience", "2026-W41"), ("weekly_detail", "2026-W41"))


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """What came of it with the portal, beside nginx."""
    clients, seconds, people = (4, 0.5, 2_000) if small else (CLIENTS, SECONDS, PEOPLE)
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
        yield LeftOut("downloads", "nginx is not installed, which they are measured beside")
        return
    with tempfile.TemporaryDirectory() as folder:
        site = DeliveredSite(Path(folder, "site"))
        publish(site, people)
        ours, lines, memory = of_portal(site, clients, seconds)
        theirs = of_nginx(site, Path(folder, "nginx"), clients, seconds)
    name = f"{clients} clients that download for {seconds:.0f} s"
    yield Figure(
        f"{name}, 99th percentile",
        "nginx",
        Amount(ours.percentile(0.99) * 1000, memory.megabytes),
        Amount(theirs.percentile(0.99) * 1000),
        Ratio.LONGER,
        "ms",
        goals=(no_more_than(SLOWEST),),
    )
    rate, front = (Amount(came.bytes / came.seconds / 1e6) for came in (ours, theirs))
    yield Figure(f"{name}, bytes", "nginx", rate, front, Ratio.MUCH, "million a second")
    wrong = sum(ours.errors.values()) + abs(lines - ours.downloads)
    yield Figure(
        f"{name}, errors and gaps in the log",
        "downloads",
        Amount(wrong),
        Amount(ours.downloads),
        Ratio.MANY,
        "",
        goals=(no_more_than(0),),
    )
    quarter = max(len(memory.samples) // 4, 1)
    peak, before = Amount(memory.megabytes), Amount(max(memory.samples[:quarter]))
    goals = (no_more_than(MOST_MEMORY), at_most(MOST_GROWTH))
    yield Figure(f"{name}, memory of the portal", "its first quarter", peak, before, Ratio.MUCH, "MB", goals=goals)


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


def publish(site: DeliveredSite, people: int) -> None:
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
    site.deliver(sample("weekly_audience"), "2026-W41", ana, people=people)
    site.deliver(detailed(), "2026-W41", ana, people=4 * people)


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


def shelves(site: DeliveredSite, clients: int, *, static: bool) -> list[tuple[str, list[Wanted]]]:
    """For each client a token of its own, and what its recipient downloads; no token where nobody asks for one."""
    tokens, names = Tokens.of(site.workspace), list(RECIPIENTS)
    made = []
    for number in range(clients):
        name = names[number % len(names)]
        secret = "" if static else tokens.issue(name).secret
        made.append((secret, files_of(site, RECIPIENTS[name], static=static)))
    return made


def of_portal(site: DeliveredSite, clients: int, seconds: float) -> tuple[Came, int, Memory]:
    """What came of it with the portal, lines that its log of downloads has for it, and its memory."""
    before = len(list(Downloads.of(site.workspace).listed()))
    with portal_process(site.workspace, part="recipients") as portal, Memory(portal.process.pid) as memory:
        came = downloaded(portal.port, shelves(site, clients, static=False), clients, seconds)
    return came, len(list(Downloads.of(site.workspace).listed())) - before, memory


def of_nginx(site: DeliveredSite, folder: Path, clients: int, seconds: float) -> Came:
    """What came of it with nginx."""
    port = free_port()
    kept = "sendfile on; keepalive_requests 10000000;"
    server = f"server {{ listen 127.0.0.1:{port} backlog=1024; root {site.workspace.published}; {kept} }}"
    with nginx(folder, server, port):
        return downloaded(port, shelves(site, clients, static=True), clients, seconds)
