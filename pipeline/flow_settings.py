"""All settings of a deployment: what there is, where each value comes from, and everything that is wrong with them.

Each room reads its own section. Here they are side by side, for who sets them up.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsConfigDict

from pipeline.deidentify.key_store import master_secret
from pipeline.deidentify.places import staging_place
from pipeline.deidentify.settings import ReadingSettings
from pipeline.delivery.notice_settings import MailSettings, WebhookSettings
from pipeline.delivery.stores.opening import connections
from pipeline.errors import DemographicsError
from pipeline.observation.logs import LogSettings
from pipeline.observation.settings import ObservationSettings
from pipeline.people.settings import EngineSettings
from pipeline.portal.settings import PortalSettings
from pipeline.recovery.settings import RecoverySettings
from pipeline.settings import Settings, words_of
from pipeline.site import load_site
from pipeline.spec import bind, load_specification
from pipeline.workspace import Workspace

PREFIX: Final = "DEMOGRAPHICS_"
_HIDDEN: Final = frozenset({"DEMOGRAPHICS_LEDGER", "DEMOGRAPHICS_SPARK"})  # each may hold a password or a token
_OF_RECIPIENTS: Final = frozenset({"DEMOGRAPHICS_TOKEN"})  # in scripts that the portal shows them
_YEAR: Final = 24 * 366


class SiteSettings(Settings):
    """Where things are, and how long is waited."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)
    about: ClassVar[str] = "the site"

    home: Path | None = None
    """The folder of the site; where none is named, the commands take ``.run/sample``."""
    releases: Path | None = None
    """The folder of release specifications; by default ``releases`` in the site's folder, if it is there."""
    ledger: str = ""
    """The ledger's database, ``postgresql+psycopg://name@host/database``; by default a SQLite file of the site."""
    keys: str = "file"
    """Where keys of periods come from: ``file``, ``environment``, or ``airflow:NAME``, an Airflow connection."""
    master_key: SecretStr = SecretStr("")
    """The master secret, with ``DEMOGRAPHICS_KEYS=environment``."""
    staging: str = ""
    """Where staging lies, ``s3://bucket/folder``; by default in the site's folder."""
    staging_connection: str = ""
    """The Airflow connection that opens staging; by default the credentials of the environment."""
    store_connections: str = ""
    """Airflow connections of recipients' stores: ``s3://bucket=connection sftp://host=connection``."""
    review_deadline: float = Field(default=48, gt=0, le=_YEAR)
    """Hours after which an alert says that nobody has decided."""
    review_poll: float = Field(default=60, gt=0)
    """Seconds between two looks at whether somebody has decided."""
    reviewer_token: SecretStr = SecretStr("")
    """The password or token with which a reviewer's commands sign; asked for if it is not set."""


SECTIONS: Final[tuple[type[Settings], ...]] = (
    SiteSettings,
    ReadingSettings,
    EngineSettings,
    PortalSettings,
    MailSettings,
    WebhookSettings,
    LogSettings,
    ObservationSettings,
    RecoverySettings,
)


@dataclass(frozen=True)
class Setting:
    """One variable of the environment.

    Attributes:
        name: ``DEMOGRAPHICS_PORTAL_PORT``.
        section: Whose it is: ``the portal``.
        about: What it means, one line of Markdown.
        usual: What holds where it is not set; empty for nothing.
        choices: The words it may be, where it may not be anything.
        hidden: Whether its value may hold a secret, and is never shown.
    """

    name: str
    section: str
    about: str
    usual: str
    choices: tuple[str, ...]
    hidden: bool

    @property
    def is_set(self) -> bool:
        """Whether the environment says anything."""
        return bool(os.environ.get(self.name))

    @property
    def value(self) -> str:
        """What holds now, as it may be shown."""
        told = os.environ.get(self.name, "")
        if not told:
            return self.usual
        return "set, not shown" if self.hidden else told


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        where: The variable, or the file.
        rule: Which rule is broken, and how. Never a value that may be a secret.
        remedy: What to do.
    """

    where: str
    rule: str
    remedy: str


def all_settings() -> tuple[Setting, ...]:
    """Every setting, section by section."""
    return tuple(_setting(section, name) for section in SECTIONS for name in section.model_fields)


def problems(workspace: Workspace) -> tuple[Problem, ...]:
    """Everything that is wrong with settings, and with the files of a site that stand on them; nothing is changed.

    No ledger, store or server is asked: this is true of what is written down.

    Args:
        workspace: Whose files.
    """
    found = [*_unknown(), *(one for section in SECTIONS for one in _of_section(section))]
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("DEMOGRAPHICS_KEYS", lambda: master_secret(workspace.key_store)),
        ("DEMOGRAPHICS_STAGING", lambda: staging_place(workspace)),
        ("DEMOGRAPHICS_STORE_CONNECTIONS", connections),
    )
    for where, step in steps:
        found += _attempted(where, step)
    return (*found, *_of_files(workspace))


def _setting(section: type[Settings], name: str) -> Setting:
    field, variable = section.model_fields[name], _variable(section, name)
    about = " ".join((field.description or "").split()).replace("``", "`")
    hidden = variable in _HIDDEN or field.annotation is SecretStr
    return Setting(variable, section.about, about, _usual(field), _choices(field), hidden)


def _variable(section: type[Settings], name: str) -> str:
    return f"{section.model_config['env_prefix']}{name}".upper()


def _usual(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or isinstance(value, SecretStr):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _choices(field: FieldInfo) -> tuple[str, ...]:
    kind = field.annotation
    return tuple(map(str, kind)) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def _unknown() -> Iterator[Problem]:
    known = [setting.name for setting in all_settings()]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in _OF_RECIPIENTS and name not in known:
            alike = difflib.get_close_matches(name, known, 1)
            yield Problem(
                name,
                "a setting must be one that there is; this one is read by nothing",
                f"Write {alike[0]}." if alike else "Remove it; docs/settings.md has all that there are.",
            )


def _of_section(section: type[Settings]) -> Iterator[Problem]:
    try:
        found = section.model_validate({})
    except ValidationError as failure:
        for item in failure.errors():
            yield _broken(section, [str(part) for part in item["loc"]], words_of(item["msg"]))
        return
    for name, field in section.model_fields.items():
        path = getattr(found, name)
        if Path in (field.annotation, *get_args(field.annotation)) and path and not _is_there(path):
            # The place is not told: it may be a password or a key that was put there by mistake.
            yield Problem(
                _variable(section, name), "the place that it names must be there", "Make it, or name another."
            )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than any name may be
        return False


def _broken(section: type[Settings], place: list[str], rule: str) -> Problem:
    if not place:  # a rule about several settings together
        return Problem(f"{section.model_config['env_prefix']}*", rule, f"Correct the settings of {section.about}.")
    setting = _setting(section, place[0])
    usual = f" It is {setting.usual} if it is not set." if setting.usual else ""
    return Problem(setting.name, rule, f"{setting.about}{usual}")


def _attempted(where: str, step: Callable[[], object]) -> Iterator[Problem]:
    try:
        step()
    except DemographicsError as failure:
        told = failure.rule if failure.value is None else f"{failure.rule}, got {failure.value}"
        yield Problem(where, told, failure.remedy)
    except OSError as failure:
        yield Problem(where, f"it must be readable, got {failure.strerror}", "Check its permissions.")


def _of_files(workspace: Workspace) -> Iterator[Problem]:
    yield from (broken := list(_attempted(str(workspace.site_file), lambda: load_site(workspace.site_file))))
    paths = sorted(workspace.releases.glob("*.yaml"))
    if not paths:
        yield Problem(str(workspace.releases), "it must hold at least one specification", "Write one, or name another.")
    for path in paths:
        step = partial(load_specification, path) if broken else partial(_bound, workspace, path)
        yield from _attempted(str(path), step)


def _bound(workspace: Workspace, path: Path) -> None:
    bind(load_specification(path), load_site(workspace.site_file))
