"""Where things lie: one folder a site, with a room for each stage."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.periods import Period
from pipeline.vocabulary import Population

HOME_VARIABLE = "DEMOGRAPHICS_HOME"
RELEASES_VARIABLE = "DEMOGRAPHICS_RELEASES"
LEDGER_VARIABLE = "DEMOGRAPHICS_LEDGER"
KEYS_VARIABLE = "DEMOGRAPHICS_KEYS"
MASTER_KEY_VARIABLE = "DEMOGRAPHICS_MASTER_KEY"
STAGING_VARIABLE = "DEMOGRAPHICS_STAGING"
STAGING_CONNECTION_VARIABLE = "DEMOGRAPHICS_STAGING_CONNECTION"
PORTAL_VARIABLE = "DEMOGRAPHICS_PORTAL_URL"


@dataclass(frozen=True)
class Workspace:
    """The folder of one site.

    Attributes:
        home: The folder; every path below is inside it.
    """

    home: Path

    @classmethod
    def from_environment(cls) -> Workspace:
        """The workspace that ``DEMOGRAPHICS_HOME`` names.

        Raises:
            ConfigurationError: It is not set or is no folder.
        """
        named = os.environ.get(HOME_VARIABLE, "")
        if not named or not Path(named).is_dir():
            raise ConfigurationError(
                f"{HOME_VARIABLE} must name the folder of a site",
                value=repr(named),
                remedy="Set it, or give --home.",
            )
        return cls(Path(named).resolve())

    @property
    def site_file(self) -> Path:
        """The site file."""
        return self.home / "site.yaml"

    @property
    def policy_file(self) -> Path:
        """The versions of the privacy policy: which purposes they cover, and from when."""
        return self.home / "policy.yaml"

    @property
    def entitlements_file(self) -> Path:
        """Who the recipients are, and what each may read."""
        return self.home / "entitlements.yaml"

    @property
    def releases(self) -> Path:
        """Release specifications, one YAML file each: ``DEMOGRAPHICS_RELEASES``, or the site's own."""
        named = os.environ.get(RELEASES_VARIABLE, "")
        return Path(named).resolve() if named else self.home / "releases"

    @property
    def ledger(self) -> Path | str:
        """The ledger: the URL in ``DEMOGRAPHICS_LEDGER``, which may hold a password, or a SQLite file of the site."""
        return os.environ.get(LEDGER_VARIABLE, "") or self.home / "ledger.db"

    @property
    def ledger_head(self) -> Path:
        """How far the ledger has come, so that an older one is noticed; see ``privacy.head``."""
        return self.home / "ledger.head"

    @property
    def key_store(self) -> str:
        """Where keys of periods come from: ``DEMOGRAPHICS_KEYS``, or ``file``; see ``deidentify.key_store``."""
        return os.environ.get(KEYS_VARIABLE, "") or "file"

    @property
    def subject_key(self) -> Path:
        """The key of tombstones and of requests that wait (0600); see ``deidentify.subject_key``."""
        return self.home / "keys" / "subjects.key"

    @property
    def inbox(self) -> Path:
        """The drop folder of people's requests: CSV files, taken in and removed."""
        return self.home / "inbox"

    @property
    def access(self) -> Path:
        """What was made for people who asked what is held about them: a folder a request, deleted after some days."""
        return self.home / "access"

    @property
    def signing_keys(self) -> Path:
        """The publisher's key pair: ``minisign.key`` (0600) and ``minisign.pub``."""
        return self.home / "keys" / "signing"

    @property
    def reviewer_keys(self) -> Path:
        """Public keys of privacy reviewers, one file each; see ``review.reviewers``."""
        return self.home / "keys" / "reviewers"

    @property
    def portal_key(self) -> Path:
        """The key of addresses that the portal signs (0600), shared by all that serve it."""
        return self.home / "keys" / "portal.key"

    @property
    def webhook_key(self) -> Path:
        """The key from which the secrets of recipients' webhooks are made (0600), shared by all that send notices."""
        return self.home / "keys" / "webhooks.key"

    @property
    def published(self) -> Path:
        """What recipients can read: ``{audience}/{product}/{period}/r{N}/``."""
        return self.home / "published"

    @property
    def sent(self) -> Path:
        """What lies in recipients' stores, a file a store; see ``delivery.stores.memory``."""
        return self.home / "sent"

    @property
    def data_docs(self) -> Path:
        """Great Expectations' pages."""
        return self.home / "data_docs"

    @property
    def airflow(self) -> Path:
        """``AIRFLOW_HOME``."""
        return self.home / "airflow"

    @property
    def staging_address(self) -> str:
        """The object store that staging lies in, ``DEMOGRAPHICS_STAGING``; empty where it lies in the site's folder."""
        return os.environ.get(STAGING_VARIABLE, "")

    @property
    def staging_connection(self) -> str | None:
        """The Airflow connection with that store's credentials, ``DEMOGRAPHICS_STAGING_CONNECTION``, if any."""
        return os.environ.get(STAGING_CONNECTION_VARIABLE, "") or None

    def staging(self, population: Population, period: Period) -> Path:
        """Staging of one period, unless it lies in an object store; beside it the period's lock, wherever that is."""
        return self.home / "staging" / population / str(period)

    def period_key(self, population: Population, period: Period) -> Path:
        """The key of the period's pseudonyms, or its part of it where the deployment has a master secret (0600)."""
        return self.home / "keys" / population / f"{period}.key"

    def report(self, release: str, period: str, revision: int) -> Path:
        """The reviewer's report of one release."""
        return self.home / "reports" / release / period / f"r{revision}" / "report.html"

    def bundle(self, shelf: str, product: str, period: str, revision: int) -> Path:
        """One bundle on a shelf, which is an audience or a part of what it receives (``publication.cuts``)."""
        return self.published / shelf / product / period / f"r{revision}"
