"""What a person is told beside what is held: sentences that hold for everybody of a population."""

from __future__ import annotations

from typing import Final

from pipeline.site import SiteFile
from pipeline.vocabulary import Population

_PSEUDONYM: Final = (
    "a pseudonym made with a secret key of each period: without the key nobody can tell whose it is, and the key is "
    "destroyed together with what is held for the period"
)
_NOT_HELD: Final = {
    Population.VISITORS: (
        "Your network address. Only the country that it belongs to is held, or a region where the list above says so.",
        "What your browser says of itself word for word, and cookies. Only the kind of browser, operating system and "
        "language are held.",
        "The addresses of pages and files, what you searched for or typed in, and where you came from word for word. "
        "Only sections of the site, and kinds of sites, are held.",
        "The time of a request. Only the hour of the day and the day of the week are held.",
    ),
    Population.CUSTOMERS: (
        "Your name, postal address, telephone number and date of birth.",
        "Your e-mail address, and the number or key by which the company knows you as a customer.",
        "How you paid. Card and account numbers are never read.",
    ),
}


def not_held(site: SiteFile, population: Population) -> list[str]:
    """What is not held of somebody, and what stands in its place."""
    named = {
        Population.VISITORS: "address and browser",
        Population.CUSTOMERS: "customer key and e-mail address"
        if site.customers and site.customers.email
        else "customer key",
    }
    return [*_NOT_HELD[population], f"In place of {named[population]} there is {_PSEUDONYM}."]


def kept_of_requests() -> list[str]:
    """What is kept of a person's requests."""
    return [
        "What named you in a request is held encrypted until the request is applied, and is then deleted.",
        "Of a request to correct, to erase or to opt out, a keyed digest stays, so that later extracts know whom to "
        "correct or to leave out. It tells nothing about you to anybody who does not have the key.",
    ]


def rights(site: SiteFile) -> list[str]:
    """What a person can ask for, and of whom."""
    whom = site.contact or site.publisher or site.site
    return [
        f"Correct what is wrong, have it erased, or opt out of being counted: write to {whom}. It is in force within "
        "48 hours of receipt.",
        "What is erased here is not held again by later extracts.",
        "Releases that are published stay as they are: they hold only numbers about groups of many people, with noise "
        "that hides whether any one person was among them.",
    ]
