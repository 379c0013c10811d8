"""The versions of the privacy policy: what releases may be for, whom they may go to, and since when.

People were told, in a version of the policy, what is done with what is known of them. A release names its purpose as
the policy does; it is refused where the version in force does not have that purpose for everybody who receives it, and
it counts only those whom a version that has it binds.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import Field, model_validator

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import PolicyError
from pipeline.periods import Period
from pipeline.site import load_site
from pipeline.spec import BoundSpecification, Notice, bind, load_specification
from pipeline.vocabulary import Audience, Name, Population
from pipeline.workspace import Workspace

VERSION_PATTERN: Final = r"^[A-Za-z0-9._-]{1,40}$"
# What stands for the version of a customer of whom none is known: it counts for what every version covers.
NO_VERSION: Final = ""


class Claim(Protocol):
    """What a specification, or a release that was drawn from it, says of its use."""

    @property
    def release(self) -> str:
        """Its name."""

    @property
    def purpose(self) -> str:
        """A purpose of the policy, by name."""

    @property
    def population(self) -> Population:
        """Who is counted."""

    @property
    def audiences(self) -> Collection[Audience]:
        """Who receives something of it."""


class Purpose(Document):
    """One thing for which the notice says that people are counted."""

    text: Annotated[str, Field(min_length=1)]
    """The words of the notice, which recipients read."""
    populations: Annotated[tuple[Population, ...], Field(min_length=1)] = (
        Population.VISITORS,
        Population.CUSTOMERS,
    )
    """Of whom the notice says it."""
    audiences: Annotated[tuple[Audience, ...], Field(min_length=1)]
    """To whom the notice says that results may go."""


class PolicyVersion(Document):
    """One version of the privacy policy, in force from its day until the next version's."""

    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    """Name of the version, as the customer table has it; in quotes where it is a number or a date."""
    effective: dt.date
    """First day on which it is in force."""
    purposes: dict[Name, Purpose]
    """What people are counted for, under the name that specifications give as their purpose. What an earlier version
    had and this one has not is withdrawn."""

    def gaps(self, claim: Claim) -> Iterator[str]:
        """What this version does not have of a claim, in words; nothing where it covers it."""
        purpose = self.purposes.get(claim.purpose)
        if purpose is None:
            yield f"no purpose {claim.purpose!r}"
            return
        if claim.population not in purpose.populations:
            yield f"purpose {claim.purpose!r} not for {claim.population}"
        if missing := sorted(set(claim.audiences) - set(purpose.audiences)):
            yield f"purpose {claim.purpose!r} without audience {', '.join(missing)}"

    def covers(self, claim: Claim) -> bool:
        """Whether it has the purpose, for the population and for every audience."""
        return not any(self.gaps(claim))


class Policy(Document):
    """All versions of the privacy policy."""

    notice_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """Days between a notice of a version and its binding whom it was sent to, unless they accept it before."""
    versions: Annotated[tuple[PolicyVersion, ...], Field(min_length=1)]
    """In the order of their days."""

    @model_validator(mode="after")
    def _versions_follow_each_other(self) -> Policy:
        days = [one.effective for one in self.versions]
        if any(later <= earlier for earlier, later in itertools.pairwise(days)):
            raise ValueError("versions must stand in the order of their days, each of a later day than the one before")
        if len(set(self.names)) < len(self.names):
            raise ValueError("versions must have different names")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the versions, in their order."""
        return tuple(one.version for one in self.versions)

    def in_force(self, day: dt.date) -> PolicyVersion | None:
        """The version in force on a day; None before the first."""
        return next((one for one in reversed(self.versions) if one.effective <= day), None)

    def in_force_during(self, period: Period) -> tuple[PolicyVersion, ...]:
        """Every version that was in force on some day of a period."""
        first = self.in_force(period.start)
        later = (one for one in self.versions if period.start < one.effective < period.end)
        return (*filter(None, [first]), *later)

    def covering(self, claim: Claim) -> frozenset[str]:
        """Names of the versions that cover a claim; ``NO_VERSION`` is among them where every version does."""
        found = {one.version for one in self.versions if one.covers(claim)}
        return frozenset(found | ({NO_VERSION} if len(found) == len(self.versions) else set()))


def load_policy(path: Path) -> Policy:
    """Read the policy.

    Raises:
        PolicyError: There is none, or it breaks a rule; every broken rule is named.
    """
    if not path.is_file():
        raise PolicyError(
            "a site must say what its privacy policy covers before anything is released",
            value=f"no {path.name} beside {path.with_name('site.yaml')}",
            remedy="Write it as docs/specification.md shows.",
        )
    return documents.load(path, Policy, PolicyError)


def held_policy(path: Path) -> Policy | None:
    """The same; None where there is none, so that no version binds anybody and nothing is released.

    Raises:
        PolicyError: It breaks a rule.
    """
    return load_policy(path) if path.is_file() else None


def require_covered(policy: Policy, claim: Claim, period: Period | None, today: dt.date) -> PolicyVersion:
    """Refuse a release whose use the policy does not cover.

    The version in force today must cover it. Visitors accept nothing by name: for them, every version that was in
    force on some day of the period must cover it too, being the notice that stood while they visited. Customers are
    looked at one by one when they are counted.

    Args:
        policy: Of the site.
        claim: A specification, or a release that was drawn.
        period: Of the release; None to look at today's version alone.
        today: In the site's time zone.

    Returns:
        The version in force today.

    Raises:
        PolicyError: It is not covered; names version, purpose and audience.
    """
    current = policy.in_force(today)
    if current is None:
        raise PolicyError(
            f"release {claim.release}: a version of the privacy policy must be in force",
            value=f"none on {today}, the first is of {policy.versions[0].effective}",
            remedy="Correct the versions' days in policy.yaml, or wait for the first of them.",
        )
    _require(claim, current, f"in force on {today}")
    if period is not None and claim.population is Population.VISITORS:
        if policy.in_force(period.start) is None:
            raise PolicyError(
                f"release {claim.release}: a version of the privacy policy must have been in force from the first day",
                value=f"none on {period.start}, the first is of {policy.versions[0].effective}",
                remedy="Release later periods: these visitors came before any notice told them of it.",
            )
        for version in policy.in_force_during(period):
            _require(claim, version, f"in force during {period}")
    return current


def require_covered_today(
    workspace: Workspace, claim: Claim, period: Period | None = None
) -> tuple[Policy, PolicyVersion]:
    """The same for a site, by its policy, and by the day that it is there; returns the policy, too.

    Raises:
        PolicyError: It is not covered, or the site has no policy, or one that breaks a rule.
        ConfigurationError: The site file is missing or breaks a rule.
    """
    today = dt.datetime.now(load_site(workspace.site_file).zone).date()
    policy = load_policy(workspace.policy_file)
    return policy, require_covered(policy, claim, period, today)


def bind_covered(workspace: Workspace, release: str, period: Period) -> tuple[BoundSpecification, frozenset[str]]:
    """A specification that fits its site and is covered by the policy, as it may be drawn.

    Returns:
        The specification with the words of the notice, and the names of the versions that cover it, as ``covering`` has
        them.

    Raises:
        PolicyError: It is not covered.
        SpecificationError: It is missing or invalid, or does not fit the site.
        ConfigurationError: The site file is missing or breaks a rule.
    """
    specification = load_specification(workspace.releases / f"{release}.yaml")
    bound = bind(specification, load_site(workspace.site_file))
    policy, version = require_covered_today(workspace, specification, period)
    notice = Notice(version.version, version.purposes[specification.purpose].text)
    return replace(bound, notice=notice), policy.covering(specification)


def _require(claim: Claim, version: PolicyVersion, when: str) -> None:
    if gaps := tuple(version.gaps(claim)):
        raise PolicyError(
            f"release {claim.release}: version {version.version} of the privacy policy, {when}, must have its purpose "
            "for everybody who receives it",
            value="; ".join(gaps),
            remedy="Change the release, or give notice of a new version of the policy that covers it.",
        )
