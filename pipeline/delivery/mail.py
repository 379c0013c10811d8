"""Sends notices by e-mail: plain text, with subjects of a fixed form, over TLS."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from pipeline.delivery.channels import NotSentError
from pipeline.delivery.message import Message, in_one_line
from pipeline.delivery.notice_settings import MailSettings, Protection, trusted
from pipeline.review.tables import now_utc

_PATIENCE: Final = 20  # seconds for each answer of the server
_MOST_BYTES: Final = 1024  # of a password


@dataclass(frozen=True)
class Mail:
    """The sender of e-mail of a site.

    Attributes:
        settings: By which server.
        context: With what its certificate is verified.
    """

    settings: MailSettings
    context: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls) -> Mail:
        """The sender that the environment sets up.

        Raises:
            ConfigurationError: A setting breaks a rule.
        """
        settings = MailSettings.from_environment()
        return cls(settings, trusted(settings.ca_file))

    def send(self, message: Message) -> None:
        """Send one notice; returns when the server has taken it.

        Raises:
            NotSentError: It was not taken.
        """
        if not self.settings.host:
            raise NotSentError("mail is not set up: DEMOGRAPHICS_MAIL_HOST and DEMOGRAPHICS_MAIL_SENDER")
        letter, to = self.letter(message), message.occasion.recipient.email
        with _in_words(), contextlib.closing(self._connected()) as server:
            if self.settings.user:
                server.login(self.settings.user, self._password())
            server.send_message(letter, self.settings.mailbox.addr_spec, [to])
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it is sent, whatever is answered now
                server.quit()

    def letter(self, message: Message) -> EmailMessage:
        """A notice as an e-mail.

        Raises:
            NotSentError: The recipient's address is none.
        """
        sender = self.settings.mailbox
        made = EmailMessage(SMTP)
        made["From"] = sender
        made["To"] = _mailbox(message.occasion.recipient.email)
        made["Subject"] = message.title
        made["Date"] = format_datetime(now_utc())
        made["Message-ID"] = f"<{message.id}@{sender.domain}>"
        made["List-Id"] = f"Notices of releases <notices.demographics.{sender.domain}>"
        made["Auto-Submitted"] = "auto-generated"
        made.set_content("\n".join(_lines(message)))
        return made

    def _connected(self) -> smtplib.SMTP:
        host, port = self.settings.host, self.settings.used_port
        if self.settings.security is Protection.TLS:
            return smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=self.context)
        server = smtplib.SMTP(host, port, timeout=_PATIENCE)
        if self.settings.security is Protection.STARTTLS:
            try:
                server.starttls(context=self.context)
            except BaseException:
                server.close()
                raise
        return server

    def _password(self) -> str:
        file = self.settings.password_file
        try:
            content = file.open("rb").read(_MOST_BYTES).decode() if file else ""
        except (OSError, UnicodeDecodeError):
            raise NotSentError("the file of the mail account's password cannot be read") from None
        return content.split("\n", 1)[0].rstrip("\r")


def _lines(message: Message) -> Iterator[str]:
    occasion = message.occasion
    yield f"For {in_one_line(occasion.recipient.title)}"
    yield ""
    yield f"{message.title}, revision {occasion.news.revision}."
    yield f"{message.at:%Y-%m-%d %H:%M} UTC. {message.text}"
    yield ""
    yield f"What to do: {message.to_do}"
    if message.page:
        yield ""
        yield f"Page: {message.page}"
        yield f"API:  {message.api}"
    yield ""
    yield "-- "
    yield f"You are told because the entitlements of {occasion.recipient.name} name this address; whoever publishes"
    yield f"these releases can change that. Notice {message.id}, the same if it comes twice."


def _mailbox(address: str) -> Address:
    try:
        return Address(addr_spec=address)
    except (MessageError, ValueError, IndexError):
        raise NotSentError("the address is none that mail can be sent to") from None


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """What the server refuses, without its own words, which may quote an address."""
    try:
        yield
    except smtplib.SMTPAuthenticationError:
        raise NotSentError("the mail server refused to log in") from None
    except smtplib.SMTPRecipientsRefused as failure:
        codes = ", ".join(sorted({str(code) for code, _ in failure.recipients.values()}))
        raise NotSentError(f"the mail server refused the address ({codes})") from None
    except smtplib.SMTPNotSupportedError:
        raise NotSentError("the mail server does not offer what is asked of it: STARTTLS, or to log in") from None
    except smtplib.SMTPResponseException as failure:
        raise NotSentError(f"the mail server answered {failure.smtp_code}") from None
    except ssl.SSLCertVerificationError:
        raise NotSentError("the mail server's certificate is not one that is trusted") from None
    except (smtplib.SMTPException, OSError):
        raise NotSentError("the mail server cannot be reached, or cut the connection") from None
