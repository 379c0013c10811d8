"""From fields of text to a request."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deidentify.addresses import look_up_addresses
from pipeline.errors import RequestError
from pipeline.rights.contents import request_bytes, request_of
from pipeline.rights.parsing import FIELDS, outline, parse_request
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.sources.formats import LONGEST_AGENT
from pipeline.sources.formats.fields import cut_agent
from pipeline.vocabulary import Population
from tests.hostile_texts import HOSTILE
from tests.unit.rights.asking import ADDRESS, AGENT, CUSTOMER, CUSTOMERS, EMAIL, NOW, site, visitor

SITE = site()
BERLIN = SITE.zone


def parsed(request: str = "erase", **fields: Any) -> SubjectRequest:
    return parse_request({"request": request, **fields}, SITE, NOW)


def parsed_visitor(request: str = "erase", **changes: Any) -> SubjectRequest:
    return parsed(request, **(visitor() | changes))


def refusal(request: str = "erase", **fields: Any) -> str:
    with pytest.raises(RequestError) as caught:
        parsed(request, **fields)
    assert caught.value.exit_code == 12
    return str(caught.value)


def attempted(fields: dict[str, Any]) -> tuple[SubjectRequest | None, str]:
    """The request, or the message that says why there is none."""
    try:
        return parse_request(fields, SITE, NOW), ""
    except RequestError as failure:
        return None, str(failure)


def test_a_customer_is_named_by_what_tells_customers_apart() -> None:
    found = parsed(population="customers", customer=f" {CUSTOMER}\n")
    assert found == SubjectRequest(RequestKind.ERASE, Population.CUSTOMERS, NOW, customer=CUSTOMER)


def test_a_customer_is_named_by_the_e_mail_address_where_the_site_declares_it() -> None:
    assert parsed(population="customer", email=EMAIL).email == EMAIL
    without = site(customers={name: part for name, part in CUSTOMERS.items() if name != "email"})
    with pytest.raises(RequestError, match="where the site file declares"):
        parse_request({"request": "erase", "population": "customers", "email": EMAIL}, without, NOW)


@pytest.mark.parametrize("written", ["opt-out", "opt out", "Opt_Out", " OPT-OUT "])
def test_a_request_is_understood_as_people_write_it(written: str) -> None:
    assert parsed(written, population="customers", customer=CUSTOMER).kind is RequestKind.OPT_OUT


@pytest.mark.parametrize(
    "fields",
    [
        {"customer": CUSTOMER, "email": EMAIL},
        {},
        {"customer": "  "},
        {"customer": CUSTOMER, "address": ADDRESS},
        {"customer": CUSTOMER, "since": "2026-10-01"},
        {"email": "jane.roe"},
        {"email": "@example.net"},
        {"email": "jane roe@example.net"},
    ],
)
def test_a_customer_is_named_in_one_way(fields: dict[str, str]) -> None:
    refusal(population="customers", **fields)


@pytest.mark.parametrize("left_out", ["address", "agent", "since"])
def test_a_visitor_is_named_by_address_agent_and_time(left_out: str) -> None:
    assert left_out in refusal(**(visitor() | {left_out: ""}))


@pytest.mark.parametrize(
    "written",
    [
        "203.0.113.77",
        "::ffff:203.0.113.77",
        "2001:DB8:0:0:0:0:0:1",
        "[2001:db8::1]:443",
        "203.0.113.77:5060",
        "fe80::1%eth0",
    ],
)
def test_addresses_are_read_as_ingestion_reads_them(written: str) -> None:
    table = look_up_addresses([written], trusted=(), internal=(), regions=None)
    assert parsed_visitor(address=written).address == table.column("visitor_address")[0].as_py()


@pytest.mark.parametrize("written", ["203.0.113", "203.0.113.77, 10.0.0.1", "jane", "1.2.3.4.5", "-", "::g"])
def test_what_is_no_address_is_refused(written: str) -> None:
    assert "address" in refusal(**(visitor() | {"address": written}))


@pytest.mark.parametrize(
    "agent", ["é" * 2 * LONGEST_AGENT, "x" * LONGEST_AGENT + "y", "e\u0301" * LONGEST_AGENT, "short"]
)
def test_agents_are_cut_as_ingestion_cuts_them(agent: str) -> None:
    ((cut,),) = duckdb.execute(f"SELECT {cut_agent('$agent')}", {"agent": agent}).fetchall()
    assert parsed_visitor(agent=agent).agent == cut


def test_logs_without_agents_need_none() -> None:
    common = site(visitors={"logs": [{"paths": ["access.log"], "format": "common"}]})
    found = parse_request({"request": "erase", **visitor(), "agent": ""}, common, NOW)
    assert found.agent == ""


def test_the_mark_of_a_missing_agent_is_none() -> None:
    assert "agent" in refusal(**(visitor() | {"agent": "-"}))


def test_days_are_of_the_site_and_an_end_is_part_of_them() -> None:
    found = parsed_visitor(since="2026-10-01", until="2026-10-02")
    assert found.since == dt.datetime(2026, 10, 1, tzinfo=BERLIN)
    assert found.until == dt.datetime(2026, 10, 3, tzinfo=BERLIN)


def test_instants_without_a_zone_are_of_the_site() -> None:
    found = parsed_visitor(since="2026-10-01T10:00", until="2026-10-01T10:00:30+00:00")
    assert found.since == dt.datetime(2026, 10, 1, 8, tzinfo=dt.UTC)
    assert found.until == dt.datetime(2026, 10, 1, 10, 0, 30, tzinfo=dt.UTC)


def test_days_across_the_end_of_daylight_saving_are_whole_days() -> None:
    fields = visitor() | {"since": "2026-10-25", "until": "2026-10-25"}
    found = parse_request({"request": "erase", **fields}, SITE, dt.datetime(2026, 10, 26, tzinfo=dt.UTC))
    assert (found.since, found.until) == (
        dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC),
        dt.datetime(2026, 10, 25, 23, tzinfo=dt.UTC),
    )


def test_only_an_opt_out_has_no_end() -> None:
    assert parsed_visitor("opt-out").until is None
    assert parsed_visitor("opt-out", until="2030-01-01").until == dt.datetime(2030, 1, 2, tzinfo=BERLIN)
    for kind in ("erase", "access"):
        assert parsed_visitor(kind).until == dt.datetime(2026, 10, 8, tzinfo=BERLIN)  # the day of receipt is over
        assert "until" in refusal(kind, **(visitor() | {"until": "2026-10-08"}))


@pytest.mark.parametrize(
    "times", [{"until": "2026-09-30"}, {"since": "2026-10-09"}, {"since": "2026-10-01T10", "until": "2026-10-01T10"}]
)
def test_a_time_goes_forward_and_is_not_to_come(times: dict[str, str]) -> None:
    refusal(**(visitor() | times))


@pytest.mark.parametrize(
    "written", ["yesterday", "2026-13-01", "1.10.2026", "20261001", "0001-01-01", "9999-12-31", "-"]
)
def test_what_is_no_time_is_refused(written: str) -> None:
    assert "since" in refusal(**(visitor() | {"since": written}))


def test_received_is_now_unless_it_says_when() -> None:
    assert parsed(population="customers", customer=CUSTOMER).received == NOW
    found = parsed(population="customers", customer=CUSTOMER, received="2026-10-05T14:30")
    assert found.received == dt.datetime(2026, 10, 5, 12, 30, tzinfo=dt.UTC)


def test_received_is_not_in_the_future_and_a_clock_may_be_a_little_ahead() -> None:
    assert "received" in refusal(population="customers", customer=CUSTOMER, received="2026-10-08")
    ahead = (NOW + dt.timedelta(minutes=4)).isoformat()
    assert parsed(population="customers", customer=CUSTOMER, received=ahead).received == NOW


def test_corrections_are_keys_of_closed_lists() -> None:
    values = "country=AT; plan=x=y"
    assert parsed("correct", population="customers", customer=CUSTOMER, set=values).values == {
        "country": "AT",
        "plan": "x=y",
    }
    assert parsed_visitor("correct", set="browser=Firefox").values == {"browser": "Firefox"}


@pytest.mark.parametrize("written", ['{"plan": "a;b"}', {"plan": "a;b"}])
def test_corrections_may_be_an_object(written: object) -> None:
    assert parsed("correct", population="customers", customer=CUSTOMER, set=written).values == {"plan": "a;b"}


@pytest.mark.parametrize(
    "values",
    [
        "", "country", "country=Austria", "section=home", "income=high", "country=AT; country=DE", ";", "{", "{}",
        '{"country": 1}', '{"country": {"a": "b"}}', '["country"]', {"country": 1},
        '{"country": "AT", "country": "DE"}',
    ],
)  # fmt: skip
def test_what_is_no_correction_is_refused(values: object) -> None:
    assert "set" in refusal("correct", population="customers", customer=CUSTOMER, set=values)


def test_only_a_correction_sets_anything() -> None:
    assert "set" in refusal("erase", population="customers", customer=CUSTOMER, set="country=AT")


def test_a_population_must_be_one_of_the_site() -> None:
    only_visitors = site(customers=None)
    with pytest.raises(RequestError, match="population must be visitors"):
        parse_request({"request": "erase", "population": "customers", "customer": CUSTOMER}, only_visitors, NOW)


def test_fields_of_another_name_are_refused_without_being_shown() -> None:
    message = refusal(population="customers", customer=CUSTOMER, addres=ADDRESS, **{EMAIL: ""})
    assert "2 of another name" in message
    assert EMAIL not in message
    assert "addres " not in message


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", FIELDS)
def test_hostile_texts_are_refused_or_kept_as_they_are_and_never_shown(name: str, field: str) -> None:
    text = HOSTILE[name]
    found, message = attempted({"request": "erase", **visitor()} | {field: text})
    assert len(text) < 6 or text not in message
    assert message.isprintable()
    if found:
        assert request_of(request_bytes(found)) == found
        assert not any(sign < " " for sign in found.customer + found.email + found.address + found.agent)


NAMING = ("customer", "email", "address", "agent")
# What no message of the program says by itself.
SECRETS = st.text(min_size=6).filter(lambda text: text.strip(" \t\r\n") == text).map(lambda text: f"#~{text}~#")
TEXTS = st.one_of(st.text(), st.sampled_from(["erase", "correct", "visitors", "customers", "2026-10-01", "country=AT"]))


@given(
    fields=st.dictionaries(st.sampled_from(sorted(set(FIELDS) - set(NAMING))), TEXTS),
    naming=st.dictionaries(st.sampled_from(NAMING), SECRETS),
    others=st.dictionaries(SECRETS, SECRETS, max_size=1),
)
def test_whatever_comes_in_is_a_request_or_an_error_that_names_nobody(
    fields: dict[str, str], naming: dict[str, str], others: dict[str, str]
) -> None:
    found, message = attempted({**fields, **naming, **others})
    told = f"{message} {outline({**fields, **naming}, SITE, NOW)} {found!r}"
    assert not [text for text in (*naming.values(), *others, *others.values()) if text in told]
    assert found is None or request_of(request_bytes(found)) == found


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_values_of_any_type_are_refused_or_understood(value: object) -> None:
    for field in FIELDS:
        found, message = attempted({"request": "correct", "population": "customers", "customer": "1", field: value})
        assert bool(found) is not bool(message)


@given(st.text(), st.text(), st.text())
def test_what_is_sealed_comes_back_the_same(customer: str, agent: str, key: str) -> None:
    found = SubjectRequest(
        RequestKind.CORRECT, Population.CUSTOMERS, NOW, customer, "", "", agent, NOW, None, {key: key}
    )
    assert request_of(request_bytes(found)) == found
    assert json.loads(request_bytes(found)[1:])["kind"] == "correct"


def test_what_can_be_told_of_a_request_that_cannot_be_used_names_nobody() -> None:
    told = outline({"request": "erase", "population": "customer", "email": "x", "received": "2026-10-05"}, SITE, NOW)
    assert (told.kind, told.population) == ("erase", "customers")
    assert told.received == dt.datetime(2026, 10, 5, tzinfo=BERLIN)
    assert outline({"request": EMAIL, "received": "soon", EMAIL: EMAIL}, SITE, NOW) == type(told)("", "", NOW)


def test_a_request_is_shown_without_what_names_the_person() -> None:
    shown = repr(parsed_visitor("correct", set="browser=Firefox"))
    assert not [text for text in (ADDRESS, AGENT, "Firefox") if text in shown]
