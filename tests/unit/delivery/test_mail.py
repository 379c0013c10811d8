"""E-mail, sent to a real mail server whose certificate is of a throw-away authority."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.delivery.channels import NotSentError
from pipeline.delivery.mail import Mail
from pipeline.delivery.message import Message
from pipeline.delivery.news import Kind
from pipeline.delivery.notice_settings import MailSettings, WebhookSettings
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from tests.receiving import Authority, Mailbox, mailbox
from tests.unit.delivery.told import EMAIL, message

SECRET = "mallow-PLANTED-password"
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def settings(authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Of a server that speaks STARTTLS; its port is for the test to say."""
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_SENDER", "Demographics <exports@vendor.example>")
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_CA_FILE", str(authority.file))
    return monkeypatch


def send(server: Mailbox, settings: pytest.MonkeyPatch, told: Message | None = None) -> None:
    settings.setenv("DEMOGRAPHICS_MAIL_PORT", str(server.port))
    Mail.of().send(told or message(email=EMAIL))


def log_in(settings: pytest.MonkeyPatch, folder: Path, password: str) -> None:
    (folder / "password").write_text(f"{password}\n")
    settings.setenv("DEMOGRAPHICS_MAIL_USER", "exports")
    settings.setenv("DEMOGRAPHICS_MAIL_PASSWORD_FILE", str(folder / "password"))


def test_a_withdrawal_reaches_the_recipient_with_its_reason(authority: Authority, settings: pytest.MonkeyPatch) -> None:
    with mailbox(authority) as server:
        send(server, settings)
    (letter,) = server.letters
    assert server.envelopes == [("exports@vendor.example", [EMAIL])]
    assert letter["Subject"] == "Withdrawn: Weekly audience, 2026-W41"
    assert letter["From"] == "Demographics <exports@vendor.example>"
    assert letter["Message-ID"] == "<msg_0123@vendor.example>"
    assert letter["List-Id"] == "Notices of releases <notices.demographics.vendor.example>"
    assert letter.get_content_type() == "text/plain"
    text = letter.get_content()
    assert "A source was counted twice." in text
    assert "Delete your copies" in text
    assert "Page: https://export.example.org/my/products/weekly_audience/editions/2026-W41/1" in text.splitlines()


BREAKS = {"crlf": "\r\n", "lf": "\n", "cr": "\r", "ls": "\u2028", "nel": "\u0085", "vt": "\x0b", "nul": "\x00"}


@pytest.mark.parametrize("break_", BREAKS.values(), ids=BREAKS)
def test_nothing_that_somebody_wrote_adds_a_header_or_ends_the_letter(
    authority: Authority, settings: pytest.MonkeyPatch, break_: str
) -> None:
    injected = f"Late.{break_}Bcc: planted@evil.example{break_}{break_}.{break_}QUIT"
    told = message(title=f"Weekly{injected}", text=injected, email=EMAIL)
    with mailbox(authority) as server:
        send(server, settings, told)
    (letter,) = server.letters
    assert set(letter.keys()) == HEADERS
    assert server.envelopes == [("exports@vendor.example", [EMAIL])]
    assert letter["Subject"] == "Withdrawn: WeeklyLate. Bcc: planted@evil.example . QUIT, 2026-W41"
    assert "2026-11-24 12:00 UTC. Late. Bcc: planted@evil.example . QUIT" in letter.get_content().splitlines()


@pytest.mark.parametrize("address", [f"{EMAIL}\r\nBcc: x@evil.example", "a@b.example, x@evil.example", "", "a@b@c.d"])
def test_an_address_that_is_more_than_one_is_not_written_to(
    authority: Authority, settings: pytest.MonkeyPatch, address: str
) -> None:
    with mailbox(authority) as server:
        with pytest.raises(NotSentError, match="none that mail can be sent to") as failure:
            send(server, settings, message(email=address))
        assert server.raw == []
    assert "evil" not in str(failure.value)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_says_what_to_do(authority: Authority, settings: pytest.MonkeyPatch, kind: Kind) -> None:
    with mailbox(authority) as server:
        send(server, settings, message(kind, title="Wöchentlich", email=EMAIL))
    (letter,) = server.letters
    assert letter["Subject"] == f"{kind.value.capitalize()}: Wöchentlich, 2026-W41"
    assert "What to do: " in letter.get_content()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_account_logs_in_and_another_password_is_refused_without_being_told(
    authority: Authority, settings: pytest.MonkeyPatch, tmp_path: Path, security: str
) -> None:
    settings.setenv("DEMOGRAPHICS_MAIL_SECURITY", security)
    with mailbox(authority, SECRET, tls_at_once=security == "tls") as server:
        log_in(settings, tmp_path, SECRET)
        send(server, settings)
        log_in(settings, tmp_path, f"{SECRET}-other")
        with pytest.raises(NotSentError, match="refused to log in") as failure:
            send(server, settings)
    assert len(server.letters) == 1
    assert SECRET not in str(failure.value)


def test_a_server_without_tls_gets_neither_password_nor_letter(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log_in(settings, tmp_path, SECRET)
    with mailbox(None) as server:
        with pytest.raises(NotSentError, match="does not offer"):
            send(server, settings)
        assert server.raw == []


def test_a_server_of_another_authority_is_refused(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with mailbox(Authority.make(tmp_path / "other")) as server:
        with pytest.raises(NotSentError, match="certificate is not one that is trusted"):
            send(server, settings)
        assert server.raw == []


def test_what_a_server_says_of_an_address_is_not_repeated(authority: Authority, settings: pytest.MonkeyPatch) -> None:
    with mailbox(authority) as server:
        server.answers = [f"451 try {EMAIL} later"]
        with pytest.raises(NotSentError, match="answered 451") as failure:
            send(server, settings)
        send(server, settings)
    assert EMAIL not in str(failure.value)
    with pytest.raises(NotSentError, match="cannot be reached"):
        send(server, settings)  # it is gone


def test_without_a_server_a_notice_waits_for_one() -> None:
    with pytest.raises(NotSentError, match="DEMOGRAPHICS_MAIL_HOST"):
        Mail.of().send(message(email=EMAIL))


WRONG = {
    "a server elsewhere without TLS": {"HOST": "mail.example.org", "SENDER": "a@b.example", "SECURITY": "none"},
    "a user without a password": {"HOST": "mail.example.org", "SENDER": "a@b.example", "USER": "exports"},
    "no sender": {"HOST": "mail.example.org"},
    "a sender of two lines": {"HOST": "mail.example.org", "SENDER": "A <a@b.example>\r\nBcc: c@d.example"},
    "a sender of two addresses": {"HOST": "mail.example.org", "SENDER": "a@b.example, c@d.example"},
    "no port": {"HOST": "mail.example.org", "SENDER": "a@b.example", "PORT": "smtp"},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_settings_that_would_betray_or_mean_nothing_are_refused(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"DEMOGRAPHICS_MAIL_{name}", value)
    with pytest.raises(ConfigurationError, match="settings of mail break"):
        Mail.of()


@pytest.mark.parametrize("settings_", [MailSettings, WebhookSettings])
def test_every_setting_is_documented(settings_: type[Settings]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "entitlements.md").read_text("utf-8")
    for name in settings_.model_fields:
        assert f"{settings_.model_config['env_prefix']}{name.upper()}`" in text
