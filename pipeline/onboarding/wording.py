"""What a column's name says about it: who it points at, or whether it may tell customers apart."""

from __future__ import annotations

from typing import Final

from pipeline.sources.headers import words_of

PEOPLE: Final = frozenset(
    {"customer", "client", "cust", "account", "user", "member", "subscriber", "contact", "person"}
)

# Reasons for which a column is left out by its name alone, unread; the first that fits is given.
_REASONS: Final = (
    ("a date of birth: even the year is finer than it needs to be", ("birth", "birthday", "birthdate", "dob", "born")),
    ("a secret or a technical identifier",
     ("password", "passwd", "pwd", "hash", "salt", "secret", "token", "cookie", "session", "ip", "mac", "device",
      "uuid", "guid", "agent", "login", "username", "nickname", "handle", "url", "website", "avatar", "photo", "iban")),
    ("an official number", ("ssn", "passport", "tax", "vat", "vatin", "tin", "licence", "license", "social")),
    ("a telephone or fax number", ("phone", "telephone", "tel", "mobile", "cell", "cellphone", "fax")),
    ("an e-mail address", ("email", "mail", "emailaddress")),
    ("an address, or a place finer than a country",
     ("address", "addr", "street", "road", "city", "town", "suburb", "county", "state", "province", "region", "zip",
      "zipcode", "postal", "postalcode", "postcode", "latitude", "longitude", "lat", "lon", "lng", "geo", "location")),
    ("free text", ("note", "notes", "comment", "comments", "remark", "remarks", "message", "bio", "description")),
    ("a special category of personal records",
     ("religion", "religious", "race", "ethnic", "ethnicity", "health", "disability", "diagnosis", "political",
      "party", "union", "sexual", "orientation", "genetic", "biometric")),
    ("a name or a part of one",
     ("name", "firstname", "lastname", "surname", "forename", "fullname", "prefix", "suffix", "salutation", "title",
      "initials", "company", "organisation", "organization", "employer")),
)  # fmt: skip
_STEMS: Final = (
    "firstname",
    "lastname",
    "surname",
    "phone",
    "email",
    "address",
    "postal",
    "zipcode",
    "birth",
    "password",
)
# A name of one of these is no person's.
_NAMED_THINGS: Final = frozenset({"country", "product", "plan", "tier", "segment", "category", "industry", "edition"})
_KEY_WORDS: Final = ("id", "key", "number", "no", "nr", "code", "uuid", "guid", "ref")
_SIGN_UP: Final = (
    "signed up", "sign up", "signup", "registered", "registration", "customer since", "member since", "joined",
    "join", "created", "enrolled", "activated",
)  # fmt: skip


def reason_by_name(column: str) -> str | None:
    """Why a column of this name is left out unread; None where the name says nothing against it."""
    words = words_of(column)
    joined = "".join(words)
    for reason, signs in _REASONS:
        hit = set(words) & set(signs) or joined in signs or any(stem in joined for stem in _STEMS if stem in signs)
        if hit and not (reason.startswith("a name") and set(words) & _NAMED_THINGS):
            return reason
    return None


def is_email(column: str) -> bool:
    """Whether the column is named as an e-mail address."""
    return "mail" in "".join(words_of(column))


def key_rank(column: str) -> int:
    """How much a name is that of the key that tells customers apart; 0 if not at all."""
    words = list(words_of(column))
    if len(words) == 1:
        words = _split_key(words[0])
    if not words or words[-1] not in _KEY_WORDS:
        return 0
    whose = set(words[:-1])
    strength = 2 if words[-1] in ("id", "key", "uuid", "guid") else 1
    return strength + (2 if whose <= PEOPLE or whose <= {"pk"} else 0)


def sign_up_rank(column: str) -> int:
    """How much a name is that of the date of sign-up; 0 if not at all."""
    text = f" {' '.join(words_of(column))} "
    ranks = [len(_SIGN_UP) - place for place, phrase in enumerate(_SIGN_UP) if f" {phrase} " in text]
    return max(ranks, default=0)


def names_country(column: str) -> bool:
    """Whether the column is named as a country."""
    return bool(set(words_of(column)) & {"country", "countrycode", "countryname", "nation", "land", "pays", "pais"})


def table_rank(table: str, columns: tuple[str, ...]) -> int:
    """How much a table looks like one row a customer; 0 if not enough."""
    words = [word.removesuffix("s") for word in words_of(table)]
    first = {"customer": 10, "client": 8, "subscriber": 7, "account": 6, "member": 6, "user": 6, "contact": 5}
    if set(words) & {"employee", "staff", "supplier", "vendor", "order", "invoice", "log", "session", "admin"}:
        return 0
    named = max((first.get(word, 0) for word in words), default=0)
    evidence = 3 * any(is_email(name) for name in columns) + any(map(names_country, columns))
    evidence += any(map(sign_up_rank, columns)) + any(reason_by_name(name) is not None for name in columns)
    rank = named + evidence - 2 * (len(words) - 1 if named else 0)
    return rank if rank >= 5 else 0


def slug(column: str, place: int) -> str:
    """A name for a dimension: lower case words with underscores, at most 32 characters."""
    name = "_".join(words_of(column))[:32].strip("_")
    return name if name[:1].isalpha() else f"column_{place}"


def title(column: str, place: int) -> str:
    """A dimension's title for people to read."""
    return slug(column, place).replace("_", " ").capitalize()


def _split_key(word: str) -> list[str]:
    for person in PEOPLE:
        if word.startswith(person) and word[len(person) :] in _KEY_WORDS:
            return [person, word[len(person) :]]
    return [word]
