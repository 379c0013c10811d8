"""Ways by which recipients are told, and whom each one reaches."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pipeline.delivery.entitlements import Entitlements, Recipient
from pipeline.errors import DeliveryError

BY_HAND: Final = "by hand"


class Channel(StrEnum):
    """How a notice is sent."""

    WEBHOOK = "webhook"
    EMAIL = "e-mail"


class NotSentError(DeliveryError):
    """A notice was not sent this time. Its rule is what may be told: no address, no secret, no word of a server."""


def address_of(recipient: Recipient, channel: Channel) -> str:
    """Where a recipient is told by a channel; empty where it is not told so."""
    return recipient.webhook if channel is Channel.WEBHOOK else recipient.email


def channels_of(recipient: Recipient) -> tuple[Channel, ...]:
    """By which channels a recipient is told."""
    return tuple(channel for channel in Channel if address_of(recipient, channel))


def told_how(entitlements: Entitlements, name: str) -> str:
    """How somebody is told, in words: ``webhook, e-mail``; by hand where no entitlement names an address."""
    recipient = entitlements.find(name)
    return ", ".join(channels_of(recipient) if recipient else ()) or BY_HAND
