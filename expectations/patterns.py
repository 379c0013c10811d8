"""What personal data looks like in a text: patterns for what may stand in no generalised value."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Final

_EMAIL: Final = re.compile(r"[^\s@<>,;]+(?:@|%40)[^\s@<>,;]+\.[A-Za-z]{2,}")
_IPV4: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_IPV6: Final = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])")
_CARD: Final = re.compile(r"(?<!\d)\d(?:[ -]?\d){13,18}(?!\d)")
# First digits of the card networks (ISO/IEC 7812 ranges of Visa, Mastercard, American Express, Diners, JCB, Discover).
_CARD_NETWORK: Final = re.compile(r"4|5[1-5]|2[2-7]|3[0-9]|6")
_PHONE: Final = re.compile(r"(?<!\w)(?:\+|00)\d[\d ().-]{6,}\d|(?<!\w)\(?\d{3,4}\)?[ .-]\d{3,4}[ .-]\d{4}(?!\w)")
_AGENT: Final = re.compile(r"\(KHTML|like Gecko|\(compatible;|\b[A-Za-z][\w.-]*/\d+\.\d+", re.ASCII)
_ADDRESS_OF_PAGE: Final = re.compile(r"\w+://|[?&][\w.-]+=")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_HEXADECIMAL: Final = re.compile(r"(?<![A-Za-z0-9])(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{16,}(?![A-Za-z0-9])", re.IGNORECASE)
_RUN: Final = re.compile(r"[A-Za-z0-9+/=]{20,}")
# Of a random run of letters of both cases and digits: 0.6 changes between these a character, and over 3.5 bits.
# Words that are written together have fewer changes (WindowsServer2022R2Std: 0.36).
_RANDOM_CHANGES: Final = 0.4
_RANDOM_BITS: Final = 3.5


def has_email(text: str) -> bool:
    """An e-mail address, percent-encoded or not."""
    return _EMAIL.search(text) is not None


def has_network_address(text: str) -> bool:
    """An IPv4 or IPv6 address."""
    return any(_is_address(found.group()) for rule in (_IPV4, _IPV6) for found in rule.finditer(text))


def has_card_number(text: str) -> bool:
    """14 to 19 digits of a card network with a right check digit (Luhn, ISO/IEC 7812-1 annex B)."""
    numbers = (re.sub(r"\D", "", found.group()) for found in _CARD.finditer(text))
    return any(_CARD_NETWORK.match(number) and _luhn(number) for number in numbers)


def has_phone_number(text: str) -> bool:
    """An international number, or a national one in three parts."""
    return _PHONE.search(text) is not None


def has_token(text: str) -> bool:
    """A long run of letters and digits that no word is: an identifier, a session, a digest."""
    if _UUID.search(text) or _HEXADECIMAL.search(text):
        return True
    return any(_is_random(found.group()) for found in _RUN.finditer(text))


def has_browser_agent(text: str) -> bool:
    """A piece of a user agent as it is logged: a product with its version."""
    return _AGENT.search(text) is not None


def has_page_address(text: str) -> bool:
    """An address of a page, or a query string."""
    return _ADDRESS_OF_PAGE.search(text) is not None


RULES: Final[tuple[Callable[[str], bool], ...]] = (
    has_email,
    has_network_address,
    has_card_number,
    has_phone_number,
    has_token,
    has_browser_agent,
    has_page_address,
)


def looks_personal(text: str) -> bool:
    """Whether any rule finds something."""
    return any(rule(text) for rule in RULES)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(character.isalnum() for character in text)


def _luhn(digits: str) -> bool:
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(value - 9 * (value > 9) for value in doubled)) % 10 == 0


def _is_random(text: str) -> bool:
    kinds = [(character.isdigit(), character.isupper()) for character in text]
    changes = sum(left != right for left, right in itertools.pairwise(kinds))
    shares = [count / len(text) for count in Counter(text).values()]
    bits = -sum(share * math.log2(share) for share in shares)
    return any(digit for digit, _ in kinds) and changes >= _RANDOM_CHANGES * len(text) and bits >= _RANDOM_BITS
