"""How a release's numbers were made, in words: bounds, keys, selection, noise, and what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.measures import Scope
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.noise import DiscreteLaplace, Noise
from pipeline.release.artefact import LevelFacts, MeasureFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.release.steps import Step, columns
from pipeline.vocabulary import PEOPLE, UNIT_NAMES


def counting(header: ReleaseHeader) -> Iterator[Step]:
    """From people to noisy numbers."""
    yield Step("Bounding: how much of one person counts", tuple(_bounds(header)))
    yield Step("Grouping by keys", tuple(_grouping(header)))
    yield Step("Selection: which groups are released", tuple(_selection(header)))
    yield Step("Noise", tuple(_noise(header)))


def showing(release: PrivateRelease) -> Iterator[Step]:
    """From noisy numbers to rows of tables."""
    header = release.header
    yield Step("Withheld rows", tuple(_withheld(release)))
    yield Step("Remainders", tuple(_remainders(header)))
    yield Step("Consistency, from noisy numbers alone", tuple(_consistency(header)))
    yield Step("Intervals and marks", tuple(_intervals(header)))


def _bounds(header: ReleaseHeader) -> Iterator[str]:
    person = UNIT_NAMES[header.population]
    for table in header.tables:
        if table.measure == PEOPLE:
            yield f"{table.name}: max_groups 1; a {person} is in one group and counts once."
        else:
            yield f"{table.name}: max_groups {table.max_groups}; a {person} counts once in each of at most so many."
        yield from (_bound(table, measure, person) for measure in table.measures[1:])
    if any(table.measure != PEOPLE for table in header.tables):
        yield (
            f"Who is in more groups than that counts in a choice of them, by a keyed hash of {person} and group. "
            "The choice of one does not depend on who else is there."
        )
    if any(measure.limit > 1 for table in header.tables for measure in table.measures):
        yield "What is beyond a bound is left out, so that a sum over few very active people lies below the full one."


def _bound(table: TableFacts, measure: MeasureFacts, person: str) -> str:
    if measure.kind == "mean":
        return f"{table.name}: {measure.name} is {measure.numerator} / {measure.denominator}, bounds included."
    reach = "in each group" if measure.scope is Scope.GROUP else "in all groups of the table together"
    return f"{table.name}: {measure.name} of one {person} is clipped at {measure.limit:,} ({measure.unit}) {reach}."


def _grouping(header: ReleaseHeader) -> Iterator[str]:
    yield "A public dimension has a closed list of keys. That a key is listed says nothing about anybody."
    if any(table.private for table in header.tables):
        yield (
            "A private dimension has no such list: only keys of released groups are named, and nothing tells which "
            "others there are. What is not named is part of 'all other'."
        )
    yield from (f"{table.name}: {_lists(table)}." for table in header.tables)


def _lists(table: TableFacts) -> str:
    return ", ".join(
        f"{name} is private" if name in table.private else f"{name} has {len(keys):,} keys"
        for name, keys in zip(table.dimensions, table.keys, strict=True)
    )


def _selection(header: ReleaseHeader) -> Iterator[str]:
    yield f"Hard minimum: a group of fewer than k = {header.k:,} people never meets the noise, and is never released."
    if any(len(table.measures) > 1 for table in header.tables):
        yield "Sums and events are told of groups whose people pass, and of no others; they select nothing themselves."
    if header.noise == "none":
        yield "There is no noise in this release, so the minimum is all that decides."
        return
    yield "Of the others those are released whose noisy number of people reaches the level's threshold."
    yield "It lies so far above k that one person alone makes a group appear with a probability of delta at most."
    rows = (
        (_words(level, header), f"{level.threshold:,}", level.delta_selection)
        for level in header.levels
        if level.quantity == PEOPLE
    )
    yield from columns(("level", "threshold", "delta"), rows)


def _noise(header: ReleaseHeader) -> Iterator[str]:
    if header.noise == "none":
        yield "None (epsilon is infinite): made for comparing with exact answers, and for nobody to receive."
        return
    yield f"One draw of {header.noise} noise for each number, from the operating system's random source, once."
    if any(level.epsilon for level in header.levels):
        yield "Its scale is all that one person can change at a level / its epsilon, and sd its standard deviation."
    else:
        yield (
            "Its scale is sigma, and sd its standard deviation. A level has no epsilon of its own: all levels "
            f"together, composed as privacy loss distributions, have the release's at delta {header.delta_noise}."
        )
    yield (
        "A level is one grouping of one quantity: tables over people share it, so that a total costs once and reads "
        "the same in all of them."
    )
    yield from columns(
        ("level", "epsilon", "scale", "sd", "95 % within +-"), (_row(one, header) for one in header.levels)
    )


def _row(level: LevelFacts, header: ReleaseHeader) -> tuple[str, ...]:
    epsilon = f"{float(level.epsilon):.4g}" if level.epsilon else "-"
    half = _distribution(level).half_width()
    return (_words(level, header), epsilon, f"{level.scale:.2f}", f"{level.noise_sd:.2f}", f"{half:,}")


def _distribution(level: LevelFacts) -> Noise:
    if not level.epsilon:
        return DiscreteGaussian(level.scale)
    # scale is sensitivity / epsilon
    return DiscreteLaplace(Epsilon.of(level.epsilon), round(level.scale * float(level.epsilon)))


def _words(level: LevelFacts, header: ReleaseHeader) -> str:
    if level.quantity == PEOPLE:
        what = ", ".join(level.dimensions) or f"all {header.population}"
    else:
        what = f"{level.quantity} by {', '.join(level.dimensions)}" if level.dimensions else f"all {level.quantity}"
        what += f" up to {level.limit:,} {level.scope}"
    return f"{what} (in {level.table})" if level.table else what


def _withheld(release: PrivateRelease) -> Iterator[str]:
    yield "C: fewer than k people, or a noisy number under the threshold; which of the two, or nobody, is not told."
    yield "D: released, but folded into 'all other' to protect a remainder. Rows below a withheld row are not listed."
    if any(table.private for table in release.header.tables):
        yield "Of private keys none is listed as C: that it is there at all would tell of somebody."
    rows = (_tally(release, table) for table in release.header.tables)
    yield from columns(("table", "rows", "listed", "all other", "C", "D"), rows)


def _tally(release: PrivateRelease, table: TableFacts) -> tuple[str, ...]:
    every = release.tables[table.name]
    frame = every[every["measure"] == table.measure]  # a group has one row of people, and may have more of others
    rest = int((frame["kind"] == "remainder").sum())
    free, under, folded = (int((frame["conf_status"] == mark).sum()) for mark in ("F", "C", "D"))
    return (table.name, *(f"{count:,}" for count in (len(frame), free - rest, rest, under, folded)))


def _remainders(header: ReleaseHeader) -> Iterator[str]:
    paid = max((level.delta_remainder for level in header.levels), key=float)
    yield (
        "What a row has beyond its listed parts is told as 'all other', and never speaks of fewer than k people. "
        "It stands alone only where the noisy numbers themselves show that it is large enough; otherwise the "
        "smallest listed part, which surely has k people, is folded into it (D above). That rule costs no epsilon; "
        f"of delta it is paid {paid} a level of people."
    )


def _consistency(header: ReleaseHeader) -> Iterator[str]:
    yield (
        "Where all parts of a row were released, their sum is a second measurement of it. Least squares puts all "
        "measurements of a number together, each by its precision: that is 'estimate', with a standard deviation of "
        "'noise_sd', which differs from row to row: the more speaks of a number, the smaller it is."
    )
    yield (
        "Shown values are whole numbers near the estimates. The parts of a row, 'all other' included, add up to it "
        f"exactly; of people no value is under {header.k:,}, and of anything else none is under 0."
    )
    if any(measure.kind == "mean" for table in header.tables for measure in table.measures):
        yield "A mean is the quotient of two shown values of its group. It was not drawn, and costs nothing."


def _intervals(header: ReleaseHeader) -> Iterator[str]:
    yield (
        "95 % intervals are of the bounded number: the estimate, give or take the width of its error, from "
        f"{header.k:,} upwards for people and from 0 for anything else, and wide enough to hold the shown value."
    )
    if any(measure.kind == "mean" for table in header.tables for measure in table.measures):
        yield "A mean's is made of the corners of its two numbers' intervals at 97.5 %, which hold together at 95 %."
    yield (
        "U: the noisy number of people lies so near the threshold, within 95 % of its noise, that being released says "
        "that it is rather too high. A remainder is marked where its parent or a listed part beside it is, and a mean "
        "where one of its numbers is. Events and sums are not: their noise selected nothing."
    )
