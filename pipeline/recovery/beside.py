"""Whether a ledger is as new as everything that recipients have: shelves, copies of them, and recipients' stores."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.delivery.approvals import Approvals, parsed
from pipeline.delivery.entitlements import Recipient
from pipeline.delivery.stores.opening import open_store
from pipeline.delivery.stores.store import Store
from pipeline.errors import ConfigurationError, DeliveryError, RecoveryError
from pipeline.publication.known import Seen, on_shelves
from pipeline.publication.manifest import MANIFEST_NAME
from pipeline.publication.shelf import INDEX_NAME, WITHDRAWN
from pipeline.recovery.opening import Opened
from pipeline.spec import ReleaseKey


def in_folders(folders: Iterable[Path]) -> Iterator[Seen]:
    """What stands in published folders, with manifests."""
    for folder in folders:
        yield from on_shelves(folder, read=True)


def in_stores(opened: Opened) -> Iterator[Seen]:
    """What lies in the stores of the recipients whom the backup knows.

    Raises:
        RecoveryError: One cannot be reached or read.
    """
    for address in sorted({store for one in _recipients(opened) for store in one.stores}):
        try:
            with contextlib.closing(open_store(address)) as store:
                yield from _in_store(store)
        except DeliveryError as failure:
            raise RecoveryError(
                "every recipient's store must be seen: a release that lies there and is not in the backup was paid for",
                value=failure.value or failure.rule,
                remedy="See that it can be reached; or leave stores out with --without-stores, if you know that "
                "nothing was published since the backup was made.",
            ) from None


def _recipients(opened: Opened) -> Iterator[Recipient]:
    """Of the entitlements in force, and of the file, which may be newer."""
    approvals = Approvals.of(opened.draft)
    newest, file = approvals.newest(), approvals.file()
    yield from newest.entitlements.recipients if newest else ()
    with contextlib.suppress(ConfigurationError):  # being written when the backup was made
        yield from parsed(file).recipients if file else ()


def _in_store(store: Store) -> Iterator[Seen]:
    for shelf in store.folders(""):
        content = store.read(f"{shelf}/{INDEX_NAME}")
        for path, key, status in _listed(content) if content is not None else ():
            withdrawn, place = status == WITHDRAWN, f"{shelf}/{path}"
            manifest = None if withdrawn else store.read(f"{place}/{MANIFEST_NAME}")
            yield Seen(key, f"{store.address}/{place}", withdrawn, manifest)


def _listed(content: bytes) -> Iterator[tuple[str, ReleaseKey, str]]:
    """Path, release and status of each edition that an index of a shelf lists."""
    try:
        for product in json.loads(content)["products"]:
            for period in product["periods"]:
                for one in period["revisions"]:
                    key = ReleaseKey(str(product["product"]), str(period["period"]), int(one["revision"]))
                    yield str(key), key, str(one["status"])
    except (ValueError, TypeError, KeyError):
        raise DeliveryError("an index in a store must be one that this program wrote", value=INDEX_NAME) from None
