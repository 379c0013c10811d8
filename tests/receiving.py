"""Receivers of notices: an HTTPS server with a certificate of a throw-away authority, and a mail server."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as MAIL
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder of a test.

    Attributes:
        file: Its certificate; PEM.
        server: Certificate and key of a server on this machine; PEM.
    """

    file: Path
    server: Path

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """Make one, and a certificate for 127.0.0.1 and localhost."""
        folder.mkdir(parents=True, exist_ok=True)
        root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Authority of {folder.name}")])
        own = _signed(name, name, root, root, x509.BasicConstraints(ca=True, path_length=0))
        here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        server = _signed(host, name, key, root, x509.SubjectAlternativeName(here))
        made = cls(folder / "authority.pem", folder / "server.pem")
        made.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made.server.write_bytes(server.public_bytes(serialization.Encoding.PEM) + private)
        return made

    @property
    def context(self) -> ssl.SSLContext:
        """What a server listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        return context


@dataclass(frozen=True)
class Posted:
    """What a receiver got."""

    path: str
    headers: dict[str, str]
    content: bytes


Answer = int | str
"""A status; or ``cut``, ``late``, ``drip`` (of endless headers), ``endless`` (of a body), or where to redirect to."""


@dataclass
class Receiver:
    """A receiver that answers what a test wants, one answer a request, and 204 after the last.

    Attributes:
        address: Where it listens.
        answers: What it answers next.
        got: What it got.
    """

    address: str = ""
    answers: list[Answer] = field(default_factory=list)
    got: list[Posted] = field(default_factory=list)


@contextmanager
def receiving(authority: Authority | None, wait: float = 0.0) -> Iterator[Receiver]:
    """A receiver on this machine, by HTTPS where there is an authority.

    Args:
        authority: Whose certificate it shows.
        wait: How long it thinks before each answer; seconds.
    """
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Posted(self.path, headers, content))
            time.sleep(wait)
            _answer(self, receiver.answers.pop(0) if receiver.answers else 204)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are expected
        if authority:
            server.socket = authority.context.wrap_socket(server.socket, server_side=True)
        receiver.address = f"{'https' if authority else 'http'}://127.0.0.1:{server.server_port}/hooks/8f0c"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        server.daemon_threads = True


def _answer(handler: http.server.BaseHTTPRequestHandler, answer: Answer) -> None:
    if isinstance(answer, int):
        handler.send_response(answer)
        handler.send_header("content-length", "0")
        handler.end_headers()
        return
    if answer in _MISBEHAVIOURS:
        _MISBEHAVIOURS[answer](handler)
    else:
        _redirect(handler, answer)


def _cut(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 20")
    handler.close_connection = True


def _late(_: http.server.BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def _drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        handler.wfile.write(f"x-{number}: 1\r\n".encode())
        time.sleep(0.1)


def _endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"x" * 65_536)


def _redirect(handler: http.server.BaseHTTPRequestHandler, place: str) -> None:
    handler.send_response(307)
    handler.send_header("location", place)
    handler.send_header("content-length", "0")
    handler.end_headers()


_MISBEHAVIOURS: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {
    "cut": _cut,
    "late": _late,
    "drip": _drip,
    "endless": _endless,
}


@dataclass
class Mailbox:
    """A mail server, and what it took.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        answers: What it answers to the next letters; 250 after the last.
        letters: What it took.
        raw: The same as bytes.
        envelopes: From whom, to whom.
    """

    port: int = 0
    answers: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str | None, list[str]]] = field(default_factory=list)

    @property
    def letters(self) -> list[EmailMessage]:
        """What it took, read."""
        found = [BytesParser(policy=MAIL).parsebytes(content) for content in self.raw]
        return [one for one in found if isinstance(one, EmailMessage)]

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802  its name
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.raw.append(envelope.content)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return answer


class _OnAFreePort(Controller):
    def _trigger_server(self) -> None:
        """Learn which port the system gave before it is asked for the first time."""
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mailbox(authority: Authority | None, password: str = "", *, tls_at_once: bool = False) -> Iterator[Mailbox]:
    """A mail server on this machine.

    Args:
        authority: Whose certificate it shows; without one it speaks no TLS.
        password: Of the account ``exports``; without one nobody has to log in.
        tls_at_once: Whether it speaks TLS from the first byte on.
    """
    found = Mailbox()
    settings: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0}
    if authority and tls_at_once:
        settings |= {"ssl_context": authority.context}
    elif authority:
        settings |= {"tls_context": authority.context, "require_starttls": True}
    if password:

        def authenticator(_: object, __: object, ___: object, ____: object, given: object) -> AuthResult:
            return AuthResult(success=given == LoginPassword(b"exports", password.encode()), handled=False)

        settings |= {"authenticator": authenticator, "auth_required": True, "auth_require_tls": not tls_at_once}
    controller = _OnAFreePort(found, **settings)
    controller.start()
    found.port = controller.port
    try:
        yield found
    finally:
        controller.stop()


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    identified = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    made = made.not_valid_before(now - _DAY).not_valid_after(now + _DAY)
    made = made.add_extension(extension, critical=True)
    made = made.add_extension(identified, critical=False).add_extension(known, critical=False)
    return made.sign(by, hashes.SHA256())
