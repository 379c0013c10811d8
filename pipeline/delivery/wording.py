"""Entitlements in words, for who has to decide on them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pipeline.delivery.entitlements import Entitlements, Grant, Recipient
from pipeline.vocabulary import AUDIENCE_TITLES


def lines_of(entitlements: Entitlements) -> list[str]:
    """Who may read what, one line a recipient and product."""
    return [line for recipient in entitlements.recipients for line in _of_recipient(recipient)]


def grant_words(grant: Grant) -> str:
    """What a grant gives: ``visitors_by_country; country AT, DE; 48 hours after approval``."""
    return "; ".join(_parts(grant))


def difference(before: bytes, after: bytes) -> tuple[str, ...]:
    """What changes from one file to another, as lines of a unified difference."""
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    return tuple(difflib.unified_diff(old, new, "in force", "entitlements.yaml", lineterm=""))


def _of_recipient(recipient: Recipient) -> Iterator[str]:
    told = [f"one of the {AUDIENCE_TITLES[recipient.audience]}"]
    told += [f"until {recipient.until}"] if recipient.until else []
    ways = [*recipient.stores, *(["webhook"] if recipient.webhook else []), *(["e-mail"] if recipient.email else [])]
    told += [f"also by {', '.join(ways)}"] if ways else []
    yield f"{recipient.name} ({recipient.title}): {', '.join(told)}"
    for product, grant in sorted(recipient.receives.items()):
        yield f"  {product}: {grant_words(grant)}"


def _parts(grant: Grant) -> Iterator[str]:
    yield ", ".join(grant.tables) or "all tables of the audience"
    for table, names in sorted(grant.columns.items()):
        yield f"of {table} only {', '.join(names)}"
    for dimension, keys in sorted(grant.rows.items()):
        yield f"{dimension} {', '.join(keys)}{' with totals' if grant.totals else ''}"
    if grant.embargo_hours:
        yield f"{grant.embargo_hours} hours after approval"
    if grant.kept_days is not None:
        yield f"for {grant.kept_days} days after the period"
