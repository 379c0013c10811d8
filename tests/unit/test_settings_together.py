"""All settings side by side: every one is known, and everything that is wrong is told at once, and no secret."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import PROJECT, main
from pipeline.errors import ConfigurationError
from pipeline.flow_settings import PREFIX, SECTIONS, all_settings
from pipeline.reference.settings_page import settings_page
from pipeline.settings import Settings
from tests.delivering import DeliveredSite, small

SECRET = "hunter-two-quagmire"
# What is wrong with each, and a word of what is said about it.
BROKEN = {
    "DEMOGRAPHICS_LOG": ("xml", "'text' or 'json'"),
    "DEMOGRAPHICS_PORTAL_PORT": ("99999", "less than or equal to 65535"),
    "DEMOGRAPHICS_PORTAL_SESSION_HOURS": ("0", "greater than or equal to 1"),
    "DEMOGRAPHICS_PORTAL_LOG_IN_RATE": ("often", "10/minute"),
    "DEMOGRAPHICS_KEYS": (SECRET, "file, environment"),
    "DEMOGRAPHICS_MEMORY": ("lots", "should match"),
    "DEMOGRAPHICS_ENGINE": ("abacus", "'duckdb' or 'spark'"),
    "DEMOGRAPHICS_STAGING": ("ftp://x/y", "s3://bucket/folder"),
    "DEMOGRAPHICS_MAIL_SENDER": ("nobody", "must be one address"),
    "DEMOGRAPHICS_WEBHOOK_NETWORKS": ("here", "IPv4 or IPv6 network"),
    "DEMOGRAPHICS_REVIEW_DEADLINE": ("never", "valid number"),
    "DEMOGRAPHICS_STORE_CONNECTIONS": (SECRET, "s3://bucket=connection"),
    "DEMOGRAPHICS_READERS": ("0", "greater than or equal to 1"),
    "DEMOGRAPHICS_BACKUPS": ("/nowhere/at/all", "must be there"),
    "DEMOGRAPHICS_PORTAL_PRT": ("1", "read by nothing"),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveredSite:
    """A site with one specification, and an environment without settings."""
    for name in [one for one in os.environ if one.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    made = DeliveredSite(tmp_path / "site")
    made.offer(small())
    return made


def config(site: DeliveredSite, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(site.workspace.home), "config", *words])


def test_every_section_is_there() -> None:
    assert set(Settings.__subclasses__()) == set(SECTIONS)


def test_every_variable_that_the_program_names_is_a_setting() -> None:
    named = set[str]()
    for folder in ("pipeline", "dags"):
        for path in (PROJECT / folder).rglob("*.py"):
            named |= set(re.findall(r"DEMOGRAPHICS_[A-Z]+(?:_[A-Z]+)*", path.read_text("utf-8")))
    prefixes = {str(section.model_config["env_prefix"]).rstrip("_") for section in SECTIONS}
    assert named - {one.name for one in all_settings()} - prefixes <= {"DEMOGRAPHICS_TOKEN", "DEMOGRAPHICS_MAIL"}


def test_every_variable_that_documents_name_is_a_setting() -> None:
    names = {one.name for one in all_settings()} | {"DEMOGRAPHICS_TOKEN"}
    for path in (*(PROJECT / "docs").glob("*.md"), PROJECT / "README.md"):
        told = set(re.findall(r"DEMOGRAPHICS_[A-Z]+(?:_[A-Z]+)*(?!_?\*|_?[A-Z])\b(?!_)", path.read_text("utf-8")))
        assert told <= names, path.name


def test_every_setting_says_what_it_is_and_stands_on_the_page() -> None:
    page = settings_page()
    for setting in all_settings():
        assert setting.about.endswith("."), setting.name
        assert page.count(f"| `{setting.name}`") == 1


def test_a_sound_deployment_is_told_to_be_so_and_nothing_is_made(site: DeliveredSite) -> None:
    before = sorted(site.workspace.home.rglob("*"))
    found = config(site, "check")
    assert found.exit_code == 0, found.output
    assert "valid" in found.output
    assert sorted(site.workspace.home.rglob("*")) == before


def test_everything_that_is_wrong_is_told_at_once_and_no_secret(
    site: DeliveredSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (value, _) in BROKEN.items():
        monkeypatch.setenv(name, value)
    site.workspace.site_file.write_text("time_zone: Mars\n", "utf-8")
    (site.workspace.releases / "broken.yaml").write_text("release: broken\n", "utf-8")
    found = config(site, "check")
    assert found.exit_code == ConfigurationError.exit_code
    told = dict(re.findall(r"^(\S+): (.+)$", found.output, re.MULTILINE))
    for name, (_, word) in BROKEN.items():
        assert word in told[name], (name, told.get(name))
    assert {str(site.workspace.site_file), str(site.workspace.releases / "broken.yaml")} <= set(told)
    assert f"{len(BROKEN) + 2} problems." in found.output
    assert "Write DEMOGRAPHICS_PORTAL_PORT." in found.output
    assert SECRET not in found.output


@pytest.mark.parametrize(
    ("given", "where", "word"),
    [
        ({"MAIL_HOST": "mail.example.org"}, "DEMOGRAPHICS_MAIL_*", "set together"),
        ({"PORTAL_HOST": "0.0.0.0"}, "DEMOGRAPHICS_PORTAL_*", "HTTPS"),  # noqa: S104  refused
        ({"KEYS": "environment"}, "DEMOGRAPHICS_KEYS", "DEMOGRAPHICS_MASTER_KEY"),
    ],
)
def test_rules_about_several_settings_are_told(
    site: DeliveredSite, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], where: str, word: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(PREFIX + name, value)
    found = config(site, "check")
    assert found.exit_code == ConfigurationError.exit_code
    assert found.output.startswith(f"{where}: ")
    assert word in found.output


def test_what_is_set_is_shown_with_where_it_comes_from_and_secrets_are_not(
    site: DeliveredSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = [one.name for one in all_settings() if one.hidden]
    assert len(hidden) == 5
    for name in hidden:
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_PORT", "8700")
    shown, everything = config(site, "show"), config(site, "show", "--all")
    assert (shown.exit_code, everything.exit_code) == (0, 0)
    assert re.search(r"DEMOGRAPHICS_PORTAL_PORT +8700 +environment", shown.output)
    assert "DEMOGRAPHICS_PORTAL_URL" not in shown.output
    assert re.search(r"DEMOGRAPHICS_READERS +4 +default", everything.output)
    assert SECRET not in shown.output + everything.output
    assert shown.output.count("set, not shown") == 5


@pytest.mark.parametrize("secret", [SECRET, SECRET * 30])
@pytest.mark.parametrize("name", ["BACKUP_KEY", "MAIL_PASSWORD_FILE", "KEYS", "STORE_CONNECTIONS", "STAGING"])
def test_a_secret_in_the_wrong_variable_is_neither_told_nor_shown(
    site: DeliveredSite, monkeypatch: pytest.MonkeyPatch, name: str, secret: str
) -> None:
    monkeypatch.setenv(PREFIX + name, secret)
    if name == "MAIL_PASSWORD_FILE":  # which is set with an account
        monkeypatch.setenv("DEMOGRAPHICS_MAIL_USER", "exports")
    told, shown = config(site, "check"), config(site, "show")
    assert (told.exit_code, shown.exit_code) == (ConfigurationError.exit_code, 0)
    assert PREFIX + name in told.output
    assert re.search(rf"{PREFIX}{name} +set, breaks a rule", shown.output)
    assert SECRET not in told.output + shown.output


def test_a_password_whose_section_breaks_a_rule_is_not_shown(
    site: DeliveredSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_PASSWORD_FILE", SECRET)  # without an account
    told, shown = config(site, "check"), config(site, "show", "--all")
    assert told.output.startswith("DEMOGRAPHICS_MAIL_*: ")
    assert re.search(r"DEMOGRAPHICS_MAIL_PASSWORD_FILE +set, breaks a rule", shown.output)
    assert re.search(r"DEMOGRAPHICS_MAIL_SECURITY +starttls +default", shown.output)
    assert SECRET not in told.output + shown.output
