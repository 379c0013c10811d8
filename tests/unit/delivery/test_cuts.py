"""Parts of what an audience receives: bundles of their own, with rows of the one release."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.delivery.approvals import in_force
from pipeline.delivery.bundles import write_missing
from pipeline.errors import DemographicsError, WithdrawnError
from pipeline.publication.bundle import publish_release
from pipeline.publication.cuts import Cut
from pipeline.publication.reading import ReadBundle, read_bundle
from pipeline.publication.verify import verify_bundle, verify_tombstone
from pipeline.publication.views import view
from pipeline.publication.withdrawal import withdraw
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from tests.delivering import DeliveredSite, sample
from tests.recorded import sample as sample_of

PRODUCT = "weekly_audience"
CENTRE = ("AT", "CH", "DE")
WEST = ("DE", "ES", "FR")
KEYS = ["measure"]
RESELLER = Audience.RESELLER
CUTS = {
    "countries": Cut(RESELLER, rows={"country": CENTRE}),
    "others": Cut(RESELLER, rows={"country": WEST}),
    "both": Cut(RESELLER, rows={"country": tuple(sorted({*CENTRE, *WEST}))}),
    "with_totals": Cut(RESELLER, rows={"country": CENTRE}, totals=True),
    "tables": Cut(RESELLER, tables=("visitors_by_country",)),
}


def granting(*grants: dict[str, Any]) -> dict[str, Any]:
    """Resellers, one with each of these grants of the product."""
    each = [
        {"name": f"r{place}", "title": f"R {place}", "audience": "reseller", "receives": {PRODUCT: grant}}
        for place, grant in enumerate(grants)
    ]
    return {"recipients": each}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"), inspected=True)
    signer = made.reviewer()
    made.offer(sample(PRODUCT))
    made.entitle(signer, granting({"rows": {"country": list(CENTRE)}}, {"rows": {"country": list(WEST)}}))
    made.deliver(sample(PRODUCT), "2026-W41", signer, people=30_000)
    return made


@pytest.fixture(scope="module")
def bundles(site: DeliveredSite) -> dict[str, ReadBundle]:
    """What each part shows, as it stands on its shelf, and the whole."""
    key = ReleaseKey(PRODUCT, "2026-W41")
    every = granting(
        *(
            {"tables": list(c.tables), "rows": {n: list(k) for n, k in c.rows.items()}, "totals": c.totals}
            for c in CUTS.values()
        )
    )
    site.entitle(site.reviewer(), every)
    write_missing(site.workspace, in_force(site.workspace))
    places = {name: site.workspace.bundle(cut.shelf, PRODUCT, key.period, 1) for name, cut in CUTS.items()}
    places["whole"] = site.workspace.bundle("reseller", PRODUCT, key.period, 1)
    return {name: read_bundle(place) for name, place in places.items()}


def rows_of(bundle: ReadBundle) -> dict[tuple[object, ...], tuple[object, ...]]:
    """All numbers of a bundle, by table, group and measure."""
    found: dict[tuple[object, ...], tuple[object, ...]] = {}
    for facts in bundle.manifest.tables:
        frame = bundle.tables[facts.name].astype(object).where(bundle.tables[facts.name].notna(), None)
        for record in frame.to_dict("records"):
            where = tuple((name, record.pop(name)) for name in (*facts.dimensions, "measure"))
            found[(facts.name, *where)] = tuple(record.items())
    return found


def countries(frame: pd.DataFrame) -> set[str]:
    return set(frame["country"])


def test_a_part_shows_its_own_countries_and_no_other(bundles: dict[str, ReadBundle]) -> None:
    shown = bundles["countries"]
    assert shown.tables
    assert all("country" in facts.dimensions for facts in shown.manifest.tables)
    assert all(countries(frame) == set(CENTRE) for frame in shown.tables.values())


def test_rows_of_all_and_of_all_others_are_shown_where_the_part_says_so(bundles: dict[str, ReadBundle]) -> None:
    assert countries(bundles["with_totals"].tables["visitors_by_country"]) == {*CENTRE, "all", "all other"}


def test_a_table_without_the_dimension_is_shown_where_it_is_named(site: DeliveredSite) -> None:
    release = site.release(ReleaseKey(PRODUCT, "2026-W41"))
    names = [facts.name for facts in release.header.tables if facts.name in release.header.audiences[RESELLER]]
    other = next(one for one in names if "country" not in one)
    shown = view(release, RESELLER, Cut(RESELLER, tables=("visitors_by_country", other), rows={"country": CENTRE}))
    assert set(shown.tables) == {"visitors_by_country", other}


def test_columns_leave_out_dimensions_from_the_last_on_and_measures(site: DeliveredSite) -> None:
    key = site.waiting(sample_of("monthly_customers"), "2026-10")
    release = site.release(key)
    columns = {"customers_by_product": ("product", "orders"), "customers_by_kind_and_seats": ("customer_kind",)}
    tables = view(release, RESELLER, Cut(RESELLER, columns=columns)).tables
    assert set(tables["customers_by_product"]["measure"]) == {"people in groups", "orders"}
    assert "seats" not in tables["customers_by_kind_and_seats"]
    assert set(tables["customers_by_country"]) == set(view(release, RESELLER).tables["customers_by_country"])


def test_what_two_recipients_share_is_the_same_and_together_they_have_what_one_with_both_rights_has(
    bundles: dict[str, ReadBundle],
) -> None:
    one, other, both = (rows_of(bundles[name]) for name in ("countries", "others", "both"))
    assert {key: one[key] for key in one if key in other} == {key: other[key] for key in other if key in one}
    assert one | other == both
    assert set(one) & set(other)


def test_no_part_has_a_number_that_the_whole_has_not(bundles: dict[str, ReadBundle]) -> None:
    whole = rows_of(bundles["whole"])
    for name, bundle in bundles.items():
        part = rows_of(bundle)
        assert part, name
        assert {key: whole[key] for key in part} == part


def test_a_part_that_draws_its_own_noise_is_not_published(site: DeliveredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.publication import bundle

    def noisier(release: Any, audience: Audience, cut: Cut | None = None) -> Any:
        shown = view(release, audience, cut)
        if cut is None:
            return shown
        for frame in shown.tables.values():
            frame["value"] = frame["value"] + 1
        return shown

    monkeypatch.setattr(bundle, "view", noisier)
    key = ReleaseKey(PRODUCT, "2026-W41")
    fresh = Cut(RESELLER, rows={"country": ("PL",)})
    from pipeline.delivery.bundles import approved_of
    from pipeline.validation.verdicts import Verdicts

    verdicts = Verdicts.from_bytes(site.ledger.checks(key) or b"[]")
    with pytest.raises(DemographicsError):
        publish_release(site.workspace, site.release(key), verdicts, approved_of(site.register, key), [fresh])
    assert not site.workspace.bundle(fresh.shelf, PRODUCT, "2026-W41", 1).exists()


def test_bundles_of_parts_verify_as_they_are_and_not_when_changed(
    site: DeliveredSite, bundles: dict[str, ReadBundle], tmp_path: Path
) -> None:
    assert bundles
    for cut in CUTS.values():
        folder = site.workspace.bundle(cut.shelf, PRODUCT, "2026-W41", 1)
        assert all(check.success for check in verify_bundle(folder))
        told = json.loads((folder / "manifest.json").read_text())["identity"]
        assert (told["audience"], Cut.of(RESELLER, cut.facts).shelf) == ("reseller", cut.shelf)


def test_nothing_in_a_part_names_what_was_left_out(site: DeliveredSite, bundles: dict[str, ReadBundle]) -> None:
    left = {facts.name for facts in bundles["whole"].manifest.tables} - set(bundles["tables"].tables)
    assert left
    folder = site.workspace.bundle(CUTS["tables"].shelf, PRODUCT, "2026-W41", 1)
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert [name for name in left if name.encode() in content] == []
    only = site.workspace.bundle(CUTS["countries"].shelf, PRODUCT, "2026-W41", 1)
    texts = "".join(path.read_text("utf-8-sig") for path in only.iterdir() if path.suffix in {".csv", ".json", ".md"})
    assert [name for name in ("PL", "Poland", "Spain") if f'"{name}"' in texts or f",{name}," in texts] == []


def test_each_shelf_has_its_own_pointers(site: DeliveredSite, bundles: dict[str, ReadBundle]) -> None:
    assert bundles
    for cut in CUTS.values():
        shelf = site.workspace.published / cut.shelf
        assert json.loads((shelf / PRODUCT / "latest.json").read_text())["path"] == "2026-W41/r1"
        assert json.loads((shelf / "index.json").read_text())["audience"] == "reseller"


def test_parts_that_stand_are_left_as_they_are(site: DeliveredSite, bundles: dict[str, ReadBundle]) -> None:
    assert bundles
    assert write_missing(site.workspace, in_force(site.workspace)) == ()


def test_withdrawing_takes_parts_away_and_none_is_written_later(tmp_path: Path) -> None:
    site = DeliveredSite(tmp_path, inspected=True)
    ana = site.reviewer()
    site.offer(sample(PRODUCT))
    site.entitle(ana, granting({"rows": {"country": list(CENTRE)}}))
    key = site.deliver(sample(PRODUCT), "2026-W41", ana, people=20_000)
    withdraw(site.workspace, key, ana, "A source was wrong.")
    shelves = ["reseller", CUTS["countries"].shelf]
    for name in shelves:
        folder = site.workspace.bundle(name, PRODUCT, key.period, 1)
        assert verify_tombstone(folder).reason == "A source was wrong."
        assert sorted(path.name for path in folder.iterdir()) == ["WITHDRAWN.json", "WITHDRAWN.json.minisig"]
    site.entitle(ana, granting({"rows": {"country": list(WEST)}}))
    assert write_missing(site.workspace, in_force(site.workspace)) == ()
    assert not (site.workspace.published / CUTS["others"].shelf).exists()


def test_equal_parts_share_a_shelf_whatever_their_order() -> None:
    for one, other in itertools.permutations(CUTS.values(), 2):
        assert one.shelf != other.shelf
    assert Cut(RESELLER, rows={"country": CENTRE[::-1]}).shelf == CUTS["countries"].shelf
    assert Cut(RESELLER).shelf == "reseller"
    assert WithdrawnError.exit_code == 14
