import pytest

from expectations.patterns import looks_personal
from pipeline.vocabulary import (
    BROWSERS,
    COUNTRIES,
    HOURS,
    LANGUAGES,
    OPERATING_SYSTEMS,
    REFERRER_CLASSES,
    STATUS_CLASSES,
    WEEKDAYS,
)


@pytest.mark.parametrize(
    "text",
    [
        "jane.doe@example.org",
        "mail to jane.doe%40example.org",
        "198.51.100.7",
        "from 198.51.100.7:443",
        "2001:db8::1",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "::1",
        "4111 1111 1111 1111",
        "5500-0055-5555-5559",
        "378282246310005",
        "+49 30 1234567",
        "(555) 010-4477",
        "0044 20 7946 0958",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "tok_4eC39HqLyjWDarjtT1zdp7dc",
        "Mozilla/5.0 (X11; Linux x86_64)",
        "curl/8.5.0",
        "AppleWebKit (KHTML, like Gecko)",
        "https://example.org/reset",
        "page?session=1",
    ],
)
def test_what_looks_like_personal_data_is_found(text: str) -> None:
    assert looks_personal(text)


@pytest.mark.parametrize(
    "text",
    [
        "under 10",
        "10 to 19",
        "2024",
        "2026-10-05",
        "2026-W41",
        "10:30:00",
        "Samsung Internet",
        "WindowsServer2022R2Std",
        "Office365E3for2024x64",
        "Enterprise Edition 2024.1",
        "4006381333931",
        "4111111111111112",
        "news.ycombinator.com",
        "internationalization_and_localization_of_documents",
        "std::vector",
        "999.999.999.999",
        "all other",
        *COUNTRIES,
        *OPERATING_SYSTEMS,
        *BROWSERS,
        *LANGUAGES,
        *REFERRER_CLASSES,
        *STATUS_CLASSES,
        *HOURS,
        *WEEKDAYS,
    ],
)
def test_a_key_of_a_closed_list_is_not_taken_for_personal_data(text: str) -> None:
    assert not looks_personal(text)
