"""Nothing that names a person or opens something is left of what is logged; fixed words are."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.provisional import domains

from pipeline.errors import BudgetError
from pipeline.observation.redaction import UNTOLD, WITHHELD, redact_event, redacted, redacted_tree
from tests.end_to_end import planting

# What has a form of its own; a name, a path or a customer's number has none, and only exceptions are without them.
FORMS = {
    planting.EMAIL: "[e-mail]",
    planting.PHONE: "[telephone]",
    planting.TOKEN: "tok-[secret]",
    planting.CARD: "[number]",
    "4000 0566 5566 5556": "[number]",
    planting.IBAN: "[account]",
    "DE02 1203 0000 0000 2020 51": "[account]",
    planting.ADDRESS_V4: "[address]",
    planting.ADDRESS_V6: "[address]",
    f"::ffff:{planting.ADDRESS_V4}": "[address]",
    "2001:4860:0:77::": "[address]",
    f"{planting.ADDRESS_V4}:44321": "[address]:44321",
    planting.REFERRER: "[web address]",
    planting.SESSION: "[secret]",
    "/account/page?attendee=quagmire": "/account/page?[query]",
    "postgresql+psycopg://exporter:pa@ss@db.example.com/ledger": "postgresql+psycopg://[credentials]@db.example.com/ledger",
    "s3 with secret_key=abc and more": "s3 with secret_key=[secret] and more",
    '{"password": "open sesame"}': '{"password": "[secret] sesame"}',
    "Bearer dgx_0123456789": "Bearer [secret]",
    "dgr_abcdefghij": "[secret]",
    "e3b0c44298fc1c149afbf4c8996fb924": "[digest]",
}
KEPT = (
    "Reviewers decide at http://127.0.0.1:8600/releases/weekly/2026-W41",
    "manual__2026-12-01T06:50:20.123456+00:00_aBcD1234",
    "asset_triggered__2026-12-01T06:50:20.123456+00:00_Ab12CdEf",
    "Task 019ab1c2-1234-7abc-8def-0123456789ab of weekly_audience/2026-W41/r1 took 0.12345678901234567 s at 12:34:56",
    "pipeline/flow.py:128, tests/test_a.py::test_b, version 3.3.2, 600,000 lines, epsilon=1.5, delta=1e-06",
    "The server listens on 127.0.0.1:8600 and [::1]:8600.",
    "See https://airflow.apache.org/docs/stable.",
    "pipeline.errors.BudgetError: the budget must hold, got 2. Wait.",
    "RuntimeError: draw stopped: ValueError at flow.py:12 draw",
)


@pytest.mark.parametrize(("text", "told"), FORMS.items())
def test_an_identifier_is_replaced_by_fixed_words(text: str, told: str) -> None:
    assert redacted(text) == told
    assert redacted(f"before {text} after") == f"before {told} after"
    assert redacted(f"'{text}'\n{text}") == f"'{told}'\n{told}"


@pytest.mark.parametrize("agent", [planting.AGENT, planting.LONG_AGENT, "curl/8.5.0", "Firefox/128.0 PlantedAgent/77"])
def test_a_user_agent_is_replaced_to_the_end_of_its_line_or_quotes(agent: str) -> None:
    assert redacted(f'"GET / HTTP/1.1" 200 5 "-" "{agent}" "de-DE"\nnext') == (
        '"GET / HTTP/1.1" 200 5 "-" "[user agent]" "de-DE"\nnext'
    )


def test_a_cookie_and_an_authorisation_are_replaced_to_the_end_of_their_line() -> None:
    told = redacted(f"Cookie: {planting.COOKIE}\nauthorization: Digest username=quagmire\nend")
    assert told == "Cookie: [secret]\nauthorization: [secret]\nend"


@pytest.mark.parametrize("text", KEPT)
def test_what_an_engineer_needs_stays(text: str) -> None:
    assert redacted(text) == text


def test_the_portals_own_address_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "https://review.example.com/releases/weekly"
    assert redacted(page) == "[web address]"
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_URL", "https://review.example.com")
    assert redacted(page) == page
    assert redacted("https://review.example.com.evil.example/x") == "[web address]"


@given(
    st.from_regex(r"[A-Za-z0-9._%+-]{1,64}", fullmatch=True),
    st.one_of(domains(), st.just("unmistakable")),
    st.sampled_from(["@", "%40"]),
    st.sampled_from(["", "user ", "<", "'", "(", "mailto:"]),
    st.sampled_from(["", ".", ">", "'", ",", " x"]),
)
def test_no_email_address_is_left(local: str, domain: str, sign: str, before: str, after: str) -> None:
    assert redacted(f"{before}{local}{sign}{domain}{after}") == f"{before}[e-mail]{after}"


@given(
    st.ip_addresses(),
    st.sampled_from(["", "from ", "client_", "[", "=", "'", "ip"]),
    st.sampled_from(["", " x", ",", "]", "/24"]),
)
def test_no_network_address_is_left(address: Any, before: str, after: str) -> None:
    assume(not address.is_loopback and not address.is_unspecified)
    for written in {str(address), address.exploded}:
        told = redacted(f"{before}{written}{after}")
        assert written not in told
        assert "[address]" in told


@given(st.text(max_size=400))
def test_any_text_can_be_told_and_is_not_told_otherwise_the_second_time(text: str) -> None:
    told = redacted(text)
    assert redacted(told) == told


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a-",
        "1",
        "1.",
        "1 ",
        ":",
        "f:",
        "@",
        "a@",
        "+1 ",
        "?a=",
        "://",
        "A1a",
        "Error: ",
        "_",
        "\n",
        "password",
        " ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.process_time()
    redacted(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 2


def test_a_long_text_is_cut_between_words() -> None:
    told = redacted(f"{'x ' * 9_995}{planting.EMAIL}")
    assert told.endswith("x [cut]")
    assert redacted("y" * 30_000) == " [cut]"


def test_libraries_exceptions_say_their_class_alone() -> None:
    assert (
        redacted("It failed: duckdb.BinderException: no column Zebulon")
        == f"It failed: duckdb.BinderException: {WITHHELD}"
    )
    assert redacted("ValueError('Zebulon')") == f"ValueError: {WITHHELD}"
    text = """Stopped.
Traceback (most recent call last):
  File "a.py", line 3, in f
    read(line)
requests.Timeout: Zebulon
  and Quagmire
Quagmire

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 4, in g
pipeline.errors.BudgetError: the budget must hold."""
    told = redacted(text)
    assert "Zebulon" not in told
    assert "Quagmire" not in told
    for words in ("Stopped.", "a.py", f"requests.Timeout: {WITHHELD}", "b.py", "BudgetError: the budget must hold."):
        assert words in told


def test_everything_inside_of_something_is_redacted() -> None:
    class Thing:
        def __str__(self) -> str:
            return f"thing of {planting.EMAIL}"

    told = redacted_tree(
        {
            planting.EMAIL: [planting.ADDRESS_V4, (planting.CARD.encode(), {int(planting.CARD)})],
            "thing": Thing(),
            "n": 3,
        }
    )
    assert told == {"[e-mail]": ["[address]", ["[number]", ["[number]"]]], "thing": "thing of [e-mail]", "n": 3}


def test_what_is_nested_endlessly_is_withheld() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert WITHHELD in str(redacted_tree(endless))


def event(**told: Any) -> dict[str, Any]:
    return dict(redact_event(None, "info", {"timestamp": "2026-12-01T06:50:20Z", "level": "info", **told}))


def test_an_event_keeps_its_time_and_loses_the_rest() -> None:
    assert event(event=f"read {planting.EMAIL}", who=planting.ADDRESS_V4) == {
        "timestamp": "2026-12-01T06:50:20Z",
        "level": "info",
        "event": "read [e-mail]",
        "who": "[address]",
    }


def test_an_exceptions_message_is_withheld_unless_it_is_the_products() -> None:
    details = [{"exc_type": "KeyError", "exc_value": planting.NAME, "exc_notes": [planting.NAME], "frames": []}]
    (told,) = event(event="x", error_detail=details)["error_detail"]
    assert told["exc_value"] == WITHHELD
    assert planting.NAME not in str(told)
    ours = [{"exc_type": "BudgetError", "exc_value": "the budget must hold, got 2."}]
    assert event(event="x", error_detail=ours)["error_detail"] == ours


@pytest.mark.parametrize("as_it_is_logged", [True, "tuple", "itself"])
def test_an_exception_that_is_not_rendered_yet_loses_its_message_too(as_it_is_logged: object) -> None:
    try:
        raise KeyError(planting.NAME)
    except KeyError as failure:
        found: dict[object, object] = {"tuple": (KeyError, failure, failure.__traceback__), "itself": failure}
        told = event(event="x", exc_info=found.get(as_it_is_logged, True))
    assert "exc_info" not in told
    assert f"KeyError: {WITHHELD}" in told["exception"]
    assert planting.NAME not in str(told)


def test_what_cannot_be_redacted_is_not_told() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise BudgetError(planting.NAME)

    told = event(event=Hostile(), who=planting.NAME)
    assert told == {"timestamp": "2026-12-01T06:50:20Z", "level": "info", "event": UNTOLD}


def test_addresses_of_this_machine_stay() -> None:
    for text in ("127.0.0.1", "::1", "0.0.0.0", "::"):  # noqa: S104
        assert ipaddress.ip_address(text)
        assert redacted(f"on {text} now") == f"on {text} now"
