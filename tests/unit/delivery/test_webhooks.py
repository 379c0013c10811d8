"""Webhooks, sent to a real HTTPS server whose certificate is of a throw-away authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from pipeline.delivery import webhooks
from pipeline.delivery.channels import NotSentError
from pipeline.delivery.notice_settings import WebhookSettings
from pipeline.delivery.webhook_secrets import WebhookSecrets
from pipeline.delivery.webhooks import Webhooks
from pipeline.errors import AccessError, ConfigurationError
from pipeline.workspace import Workspace
from tests.receiving import Authority, Receiver, receiving
from tests.unit.delivery.told import message

NOW = dt.datetime.now(dt.UTC)
WEEK = dt.timedelta(days=7)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def workspace(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DEMOGRAPHICS_WEBHOOK_CA_FILE", str(authority.file))
    return Workspace(tmp_path)


@pytest.fixture
def receiver(authority: Authority) -> Iterator[Receiver]:
    with receiving(authority) as found:
        yield found


@pytest.fixture
def secret(workspace: Workspace) -> str:
    return WebhookSecrets.of(workspace).make("acme", WEEK, NOW).secret


def send(workspace: Workspace, address: str) -> None:
    Webhooks.of(workspace).send(message(webhook=address))


def test_a_receiver_verifies_what_it_gets_and_refuses_what_was_tampered_with(
    workspace: Workspace, receiver: Receiver, secret: str
) -> None:
    send(workspace, receiver.address)
    (got,) = receiver.got
    told = Webhook(secret).verify(got.content, got.headers)
    assert got.path == "/hooks/8f0c"
    assert got.headers["webhook-id"] == "msg_0123"
    assert told == {
        "type": "edition.withdrawn",
        "timestamp": "2026-11-24T12:00:00+00:00",
        "data": {
            "recipient": "acme",
            "product": "weekly_audience",
            "title": "Weekly audience",
            "period": "2026-W41",
            "revision": 1,
            "text": "A source was counted twice.",
            "to_do": "Delete your copies, and do not use them any more; look for a later revision.",
            "page": "https://export.example.org/my/products/weekly_audience/editions/2026-W41/1",
            "api": "https://export.example.org/api/v1/products/weekly_audience/editions/2026-W41/1",
        },
    }
    for content, headers in (
        (got.content.replace(b"2026-W41", b"2026-W42"), got.headers),
        (got.content, got.headers | {"webhook-id": "msg_0124"}),
        (got.content, got.headers | {"webhook-timestamp": str(int(got.headers["webhook-timestamp"]) + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(content, headers)


def test_while_a_secret_is_changed_both_sign_and_then_the_new_one_alone(
    workspace: Workspace, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = WebhookSecrets.of(workspace).make("acme", WEEK, NOW)
    assert made.others_end == NOW + WEEK
    send(workspace, receiver.address)
    for one in (secret, made.secret):
        Webhook(one).verify(receiver.got[0].content, receiver.got[0].headers)
    secrets = WebhookSecrets.of(workspace)
    assert secrets.living("acme", NOW + WEEK) == (made.secret,)
    third = secrets.make("acme", dt.timedelta(0), NOW)  # the others are known to a stranger
    assert secrets.living("acme", NOW) == (third.secret,)
    with pytest.raises(AccessError, match="0 to 30 days"):
        secrets.make("acme", dt.timedelta(days=31), NOW)


def test_secrets_differ_and_a_copy_of_the_database_has_none(workspace: Workspace, secret: str) -> None:
    other = WebhookSecrets.of(workspace).make("north", WEEK, NOW)
    assert other.secret != secret
    assert workspace.webhook_key.stat().st_mode & 0o777 == 0o600
    content = (workspace.home / "ledger.db").read_bytes()
    assert not any(one.removeprefix("whsec_").encode() in content for one in (secret, other.secret))
    assert secret not in repr(other)


def test_without_a_secret_or_with_another_key_file_nothing_is_sent(
    workspace: Workspace, receiver: Receiver, tmp_path: Path
) -> None:
    with pytest.raises(NotSentError, match="webhook-secret acme"):
        send(workspace, receiver.address)
    WebhookSecrets.of(workspace).make("acme", WEEK, NOW)
    moved = Workspace(tmp_path / "moved")
    moved.home.mkdir()
    shutil.copy(workspace.home / "ledger.db", moved.home / "ledger.db")
    with pytest.raises(NotSentError, match=r"webhooks\.key is another"):
        send(moved, receiver.address)
    assert receiver.got == []


def test_redirects_are_not_followed(workspace: Workspace, receiver: Receiver, secret: str) -> None:
    with receiving(None) as elsewhere:
        receiver.answers = [elsewhere.address]
        with pytest.raises(NotSentError, match="307, and redirects are not followed"):
            send(workspace, receiver.address)
        assert elsewhere.got == []


@pytest.mark.parametrize("answer", [400, 410, 500, 503])
def test_only_success_counts_as_taken(workspace: Workspace, receiver: Receiver, secret: str, answer: int) -> None:
    receiver.answers = [answer]
    with pytest.raises(NotSentError, match=f"answered {answer}"):
        send(workspace, receiver.address)


@pytest.mark.parametrize(("answer", "words"), [("cut", "cut"), ("late", "within 1 s"), ("drip", "within 1 s")])
def test_a_receiver_that_cuts_or_dawdles_is_left_in_time(
    workspace: Workspace, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch, answer: str, words: str
) -> None:
    monkeypatch.setattr(webhooks, "_WHOLE", 1.0)
    receiver.answers = [answer]
    began = dt.datetime.now(dt.UTC)
    with pytest.raises(NotSentError, match=words):
        send(workspace, receiver.address)
    assert dt.datetime.now(dt.UTC) - began < dt.timedelta(seconds=2.5)


def test_of_an_endless_answer_the_status_alone_is_read(
    workspace: Workspace, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_WHOLE", 3.0)
    receiver.answers = ["endless"]
    send(workspace, receiver.address)


def test_a_certificate_of_another_authority_is_refused(
    workspace: Workspace, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(Authority.make(tmp_path / "other")) as stranger:
        with pytest.raises(NotSentError, match="certificate is not one that is trusted"):
            send(workspace, stranger.address)
        assert stranger.got == []
    monkeypatch.setenv("DEMOGRAPHICS_WEBHOOK_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="readable PEM file"):
        Webhooks.of(workspace)


def test_without_tls_only_this_machine_is_told(workspace: Workspace, secret: str) -> None:
    with receiving(None) as plain:
        send(workspace, plain.address)
        assert len(plain.got) == 1
    with pytest.raises(NotSentError, match="must be an https address"):
        send(workspace, "http://192.0.2.1/hooks")


PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  nothing listens there
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f000001",
    "224.0.0.1",
    "255.255.255.255",
    "localhost.",
    "[::]",
    "[fe80::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::a00:1]",
    "[2002:a00:1::]",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_what_leads_into_a_private_network_is_not_connected_to(
    workspace: Workspace, secret: str, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(Webhooks, "_answer", _never)
    with pytest.raises(NotSentError, match=r"not public|has no address|cannot be used"):
        send(workspace, f"https://{host}/hooks")


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_public_may_be_asked(workspace: Workspace, text: str) -> None:
    assert Webhooks.of(workspace)._may_be_asked(ipaddress.ip_address(text), "hooks.example.org")


def test_a_name_is_looked_up_once_and_its_certificate_must_bear_it(
    workspace: Workspace, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = receiver.address.split(":")[2].split("/")[0], []

    def looked_up(host: str, *rest: Any, **more: Any) -> list[Any]:
        asked.append(host)
        place = "127.0.0.1" if len(asked) % 2 else "10.0.0.1"  # another one at each question
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(NotSentError, match="not public"):
        send(workspace, f"https://hooks.example.org:{port}/hooks")
    asked.clear()
    monkeypatch.setenv("DEMOGRAPHICS_WEBHOOK_NETWORKS", "127.0.0.0/8")
    with pytest.raises(NotSentError, match="certificate"):
        send(workspace, f"https://hooks.example.org:{port}/hooks")
    assert asked == ["hooks.example.org"]
    assert receiver.got == []


def test_a_private_network_that_is_no_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_WEBHOOK_NETWORKS", "10.0.0.0/8, intranet")
    with pytest.raises(ConfigurationError, match="settings of webhooks break 1 rule"):
        WebhookSettings.from_environment()


async def _never(*_: object) -> int:
    raise AssertionError("a connection was made")
