"""Every error the product raises on purpose.

A message states the rule, the value that breaks it and the remedy, and never a person's data or a true count.
The exit code of the command line is the class's ``exit_code``.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import ClassVar, Final

INTERNAL_EXIT_CODE: Final = 70  # EX_SOFTWARE of sysexits.h


class DemographicsError(Exception):
    """Base of all errors that a person can act on.

    Args:
        rule: What must hold, as a sentence without a full stop.
        value: What was found instead. Never a record, an identifier or a true count.
        remedy: What to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, rule: str, *, value: object = None, remedy: str = "") -> None:
        self.rule = rule
        self.value = value
        self.remedy = remedy
        message = rule if value is None else f"{rule}, got {value}"
        super().__init__(f"{message}. {remedy}".strip() if remedy else f"{message}.")


class ConfigurationError(DemographicsError):
    """A site file or a setting cannot be used."""

    exit_code = 3


class SpecificationError(ConfigurationError):
    """A release specification is invalid."""


class PolicyError(SpecificationError):
    """No version of the privacy policy covers what a release is for, or whom it goes to."""


class SourceError(DemographicsError):
    """A source is missing, unreadable, or not what the site file says."""

    exit_code = 4


class RejectShareError(SourceError):
    """More than the declared share of a source could not be used."""


class PaymentDataError(SourceError):
    """A source carries payment-instrument data, which may be used for paying only."""


class StagingError(DemographicsError):
    """Staging of a period is missing, empty, or not the one that is asked for."""

    exit_code = 5


class BudgetError(DemographicsError):
    """A reservation would overdraw the privacy budget. Nothing was spent."""

    exit_code = 6


class LedgerError(DemographicsError):
    """The ledger refuses: a broken chain, a missing artefact, a second draw."""

    exit_code = 7


class ChecksFailedError(DemographicsError):
    """A validation check failed; publication stops."""

    exit_code = 8


class NotApprovedError(DemographicsError):
    """No living approval covers exactly this candidate; publication fails closed."""

    exit_code = 9


class PublicationError(DemographicsError):
    """A bundle cannot be written, or differs from what was published."""

    exit_code = 10


class VerificationError(DemographicsError):
    """A bundle is not what its manifest and signature say."""

    exit_code = 11


class RequestError(DemographicsError):
    """A person's request cannot be read, is unknown, or is overdue."""

    exit_code = 12


class AccessError(DemographicsError):
    """Somebody could not show that they are a reviewer, or an account cannot be what is asked for.

    Of a wrong name, a wrong password, a token that has expired and a locked account it says the same.
    """

    exit_code = 13


class DeliveryError(DemographicsError):
    """A recipient cannot be given what is asked for, or it cannot be brought to where it belongs."""

    exit_code = 14


class UnknownEditionError(DeliveryError):
    """There is no such thing for who asks: it says the same of what is not there and of what is not theirs."""


class WithdrawnError(DeliveryError):
    """What is asked for was withdrawn."""


class RecoveryError(DemographicsError):
    """A backup cannot be made or opened, or there is no room to restore it into."""

    exit_code = 15


def kind_and_place(failure: BaseException) -> str:
    """The class of an unforeseen error and where it came up, without its message, which may quote a record."""
    frames = traceback.extract_tb(failure.__traceback__)
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-6:])
    return f"{type(failure).__name__} at {places}"
