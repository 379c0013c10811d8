"""Takes in people's requests where they wait to be taken in: in the drop folder and in the database table."""

from __future__ import annotations

import datetime as dt
from functools import partial

from pipeline.errors import DemographicsError
from pipeline.rights.inbox import SETTLED, collect_inbox
from pipeline.rights.intake import Collected
from pipeline.rights.request_table import collect_table
from pipeline.rights.store import RequestStore
from pipeline.site import SiteFile
from pipeline.workspace import Workspace


def collect(
    workspace: Workspace, site: SiteFile, now: dt.datetime | None = None, settled: float = SETTLED
) -> Collected:
    """Take in what is in the drop folder and in the database table; where one fails, the other is taken in.

    Args:
        workspace: Of the site.
        site: Its site file.
        now: The instant of taking in; this one if left out.
        settled: Seconds for which nobody must have changed a file of the drop folder.

    Raises:
        ConfigurationError: The key of subject requests is missing or another one, or others can reach the drop folder.
            Nothing was taken there: files lie where they lay.
        SourceError: The table, or a row of it, cannot be read.
        LedgerError: The ledger's database cannot be reached or written.
    """
    store, moment = RequestStore.open(workspace), now or dt.datetime.now(dt.UTC)
    found, failures = Collected(), list[DemographicsError]()
    for way in (partial(collect_inbox, settled=settled), collect_table):
        try:
            found += way(store, workspace, site, moment)
        except DemographicsError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return found
