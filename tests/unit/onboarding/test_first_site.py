import datetime as dt
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from pipeline.deidentify.customers import stage_customers
from pipeline.errors import ConfigurationError, PaymentDataError, SourceError
from pipeline.onboarding.first_site import OnboardingReport, describe, write_first_site
from pipeline.periods import Period, PeriodKind
from pipeline.policy import NO_VERSION, load_policy, require_covered
from pipeline.site import BandColumn, CategoryColumn, CsvSource, CustomerSource, SiteFile, YearColumn, load_site
from pipeline.spec import ReleaseSpecification, load_specification, load_specifications
from pipeline.vocabulary import Audience, Population
from pipeline.workspace import Workspace
from tests.builders import write_policy

PLANS = ("free", "team", "business")
PEOPLE = 300
HEADER = "customer_id,full_name,email,phone,city,country,plan,favourite,revenue,signed_up,last_seen,notes,batch_no"


def person(number: int) -> str:
    country = ("Germany", "France", "UK", "United States", "Brazil")[number % 5]
    favourite = "green" if number % 2 else f"colour of person {number}"
    day = dt.date(2024, 1, 1) + dt.timedelta(days=number)
    revenue = f'"${number * 37 % 90_000:,} "'
    return (
        f"c{number:05d},Ada Lovelace{number},ada{number}@example.org,+49 151 {number:07d},Berlin,{country},"
        f"{PLANS[number % 3]},{favourite},{revenue},{day},{day:%m/%d/%Y},likes tea,{number % 4}"
    )


def customers_csv(folder: Path, header: str = HEADER, lines: Iterable[str] | None = None) -> str:
    rows = [person(number) for number in range(PEOPLE)] if lines is None else lines
    path = folder / "customers.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return str(path)


def log_line(
    visitor: int, day: dt.date, path: str = "/docs/start", referrer: str = "https://www.shop.example/a", more: str = ""
) -> str:
    address = f"198.51.{visitor // 250}.{visitor % 250 + 1}"
    return f'{address} - - [{day:%d/%b/%Y}:10:00:00 +0000] "GET {path} HTTP/1.1" 200 5 "{referrer}" "Mozilla/5.0"{more}'


def logs(folder: Path, *lines: str) -> list[str]:
    (folder / "access.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(folder / "access*.log")]


def busy_logs(folder: Path, more: str = "") -> list[str]:
    monday = dt.date(2026, 9, 28)
    lines = [log_line(visitor, monday + dt.timedelta(days=14 * (visitor % 2)), more=more) for visitor in range(60)]
    rare = [log_line(visitor, monday, f"/~ada{visitor}/secret", "https://rare.example/") for visitor in range(20)]
    return logs(folder, *lines, *rare)


def declared(home: Path) -> CustomerSource:
    customers = load_site(home / "site.yaml").customers
    assert customers is not None
    return customers


def reasons(report: OnboardingReport) -> dict[str, str]:
    return dict(report.left)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_columns_that_point_at_people_are_left_out_with_a_reason(tmp_path: Path, home: Path) -> None:
    left = reasons(write_first_site(home, [], customers_csv(tmp_path)))
    assert set(left) == {
        f"column {name!r}"
        for name in ("full_name", "email", "phone", "city", "favourite", "last_seen", "notes", "batch_no")
    }
    assert "name" in left["column 'full_name'"]
    assert "sign-up" in left["column 'last_seen'"]


def test_the_key_the_country_categories_bands_and_the_sign_up_are_taken(tmp_path: Path, home: Path) -> None:
    write_first_site(home, [], customers_csv(tmp_path))
    customers = declared(home)
    assert (customers.person, customers.signed_up) == ("customer_id", "signed_up")
    assert customers.source == CsvSource(kind="csv", path=str(tmp_path / "customers.csv"))
    assert list(customers.dimensions) == ["country", "plan", "revenue", "signed_up_year"]
    plan, revenue = customers.dimensions["plan"], customers.dimensions["revenue"]
    assert isinstance(plan, CategoryColumn)
    assert plan.values == tuple(sorted(PLANS))
    assert isinstance(revenue, BandColumn)
    assert revenue.edges == (2000, 4000, 6000, 8000, 10_000)
    assert isinstance(customers.dimensions["signed_up_year"], YearColumn)


def test_what_was_written_can_be_staged(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, [], customers_csv(tmp_path))
    (month,) = report.periods[Population.CUSTOMERS]
    staging = stage_customers(Workspace(home), load_site(report.site_file), month)
    assert staging.manifest.sources["customers"].used == PEOPLE


def test_no_raw_value_of_a_person_is_written_or_told(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, busy_logs(tmp_path), customers_csv(tmp_path))
    told = describe(report) + "".join(path.read_text() for path in (report.site_file, *report.releases))
    told = told.replace(str(tmp_path), "")  # where pytest put the sources, by a running number
    assert not any(
        raw in told for raw in ("Lovelace", "@", "151", "c000", "Berlin", "colour of", "rare.", "~ada", "198.")
    )
    assert sorted(path.name for path in home.iterdir()) == ["policy.yaml", "releases", "site.yaml"]


def test_values_of_fewer_than_fifty_people_are_not_named(tmp_path: Path, home: Path) -> None:
    lines = [f"{n},{'rare' if n < 49 else 'common' if n < 120 else 'usual'},DE" for n in range(200)]
    write_first_site(home, [], customers_csv(tmp_path, "id,kind,country", lines))
    kind = declared(home).dimensions["kind"]
    assert isinstance(kind, CategoryColumn)
    assert kind.values == ("common", "usual")


def test_codes_of_provinces_are_not_taken_for_countries(tmp_path: Path, home: Path) -> None:
    lines = [f"{n},{('CA', 'IL', 'DE', 'AL')[n % 4]},{('free', 'paid')[n % 2]}" for n in range(200)]
    report = write_first_site(home, [], customers_csv(tmp_path, "id,area,plan", lines))
    assert list(declared(home).dimensions) == ["plan"]
    assert "countries" in reasons(report)["column 'area'"]


def test_small_whole_numbers_are_categories_and_dates_of_birth_are_left_out(tmp_path: Path, home: Path) -> None:
    lines = [f"{n},{n % 3},{1950 + n % 50}-02-03" for n in range(300)]
    report = write_first_site(home, [], customers_csv(tmp_path, "id,children,date_of_birth", lines))
    children = declared(home).dimensions["children"]
    assert isinstance(children, CategoryColumn)
    assert children.values == ("0", "1", "2")
    assert "date of birth" in reasons(report)["column 'date_of_birth'"]


def test_an_email_address_tells_customers_apart_where_there_is_no_key(tmp_path: Path, home: Path) -> None:
    lines = [f"ada{n}@example.org,{('free', 'paid')[n % 2]}" for n in range(200)]
    write_first_site(home, [], customers_csv(tmp_path, "EmailAddress,plan", lines))
    assert declared(home).person == "EmailAddress"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiter_and_encoding_are_found_out(tmp_path: Path, home: Path, delimiter: str) -> None:
    rows = [("id", "plan", "remark"), *((str(n), ("prépayé", "libre")[n % 2], "a, b") for n in range(200))]
    path = tmp_path / "export.csv"
    path.write_bytes("\n".join(delimiter.join(row) for row in rows).encode("latin-1"))
    write_first_site(home, [], str(path))
    source = declared(home).source
    assert isinstance(source, CsvSource)
    assert (source.delimiter, source.encoding) == (delimiter, "latin-1")


def database(path: Path, *statements: str) -> str:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.executemany("INSERT INTO clients VALUES (?, ?, 'Norway')", [(n, f"a{n}@b.org") for n in range(60)])
    connection.close()
    return str(path)


@pytest.mark.parametrize("name", ["crm.db", "crm.backup"])
def test_of_a_database_the_table_that_looks_like_customers_is_taken(tmp_path: Path, home: Path, name: str) -> None:
    named = database(
        tmp_path / name,
        "CREATE TABLE client_orders (client_id, email, country)",
        "CREATE TABLE employees (id, email, country)",
        "CREATE TABLE clients (id INTEGER PRIMARY KEY, email TEXT, land TEXT)",
    )
    write_first_site(home, [], named)
    source = declared(home).source
    assert source.kind == "database"
    assert (source.table, source.url) == ("clients", f"sqlite:///{tmp_path / name}")


def test_a_relative_database_address_becomes_absolute(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database(tmp_path / "crm.db", "CREATE TABLE clients (id INTEGER PRIMARY KEY, email TEXT, land TEXT)")
    monkeypatch.chdir(tmp_path)
    write_first_site(home, [], "sqlite:///crm.db")
    source = declared(home).source
    assert source.kind == "database"
    assert source.url == f"sqlite:///{tmp_path / 'crm.db'}"


def test_a_database_without_customers_is_refused(tmp_path: Path, home: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        connection.execute("CREATE TABLE orders (id, email)")
    connection.close()
    with pytest.raises(ConfigurationError, match="look like customers"):
        write_first_site(home, [], str(tmp_path / "crm.db"))


def test_sections_domains_and_weeks_come_from_the_logs(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, busy_logs(tmp_path), None)
    site = load_site(report.site_file)
    assert site.visitors is not None
    assert site.visitors.logs == (str(tmp_path / "access*.log"),)
    assert [rule.section for rule in site.visitors.sections] == ["docs"]
    assert site.visitors.sections[0].paths == ("/docs", "/docs/*")
    assert site.visitors.own_domains == ("shop.example",)
    assert site.visitors.referrer_domains == ()
    assert report.periods == {Population.VISITORS: (Period.parse("2026-W40"), Period.parse("2026-W42"))}
    assert any("guess" in note for note in report.notes)


def test_a_language_field_is_read_and_other_trailing_fields_are_not(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, busy_logs(tmp_path, ' "session=4711" "de-DE,de;q=0.9"'), None)
    site = load_site(report.site_file)
    assert site.visitors is not None
    (declared,) = site.visitors.log_sources
    assert declared.trailing_fields == ("-", "accept_language")
    assert "by_language" in [table.name for table in specification(home, "weekly_visitors").tables]


def specification(home: Path, name: str) -> ReleaseSpecification:
    return load_specification(home / "releases" / f"{name}.yaml")


def test_the_first_specifications_go_to_all_audiences_with_careful_parameters(tmp_path: Path, home: Path) -> None:
    write_first_site(home, busy_logs(tmp_path), customers_csv(tmp_path))
    visitors, customers = specification(home, "weekly_visitors"), specification(home, "monthly_customers")
    for release in (visitors, customers):
        assert (release.privacy.epsilon, release.privacy.delta, release.privacy.k) == (1, 1e-7, 50)
        assert set(release.audiences) == set(Audience)
    assert [table.dimensions[0] for table in visitors.tables] == [
        "country", "operating_system", "browser", "referrer_class", "section",
    ]  # fmt: skip
    assert [table.dimensions[0] for table in customers.tables] == ["country", "plan", "revenue", "signed_up_year"]


def test_customers_begin_with_the_last_month_of_the_logs_if_there_were_any_by_then(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, busy_logs(tmp_path), customers_csv(tmp_path))
    assert report.periods[Population.CUSTOMERS] == (Period.parse("2026-10"),)


def test_customers_who_all_signed_up_after_the_logs_begin_with_the_first_of_them(tmp_path: Path, home: Path) -> None:
    old = logs(tmp_path, *(log_line(visitor, dt.date(2015, 5, 17)) for visitor in range(60)))
    report = write_first_site(home, old, customers_csv(tmp_path))
    assert report.periods[Population.CUSTOMERS] == (Period.parse("2024-01"),)


def test_without_logs_customers_begin_with_this_month(tmp_path: Path, home: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    report = write_first_site(home, [], customers_csv(tmp_path))
    assert report.periods == {Population.CUSTOMERS: (Period.containing(today, PeriodKind.MONTH),)}


def test_budget_caps_are_set_for_what_is_there_and_no_more(tmp_path: Path, home: Path) -> None:
    write_first_site(home, busy_logs(tmp_path), None)
    site = load_site(home / "site.yaml")
    assert {name: (cap.epsilon, cap.delta) for name, cap in site.budget.items()} == {Population.VISITORS: (30, 1e-4)}


def test_the_report_is_in_the_comments_of_the_site_file(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, [], customers_csv(tmp_path))
    text = report.site_file.read_text()
    assert "# Not read: column 'phone': a telephone or fax number." in text
    assert yaml.safe_load(text)["customers"]["person"] == "customer_id"


def test_a_column_name_cannot_break_out_of_a_comment(tmp_path: Path, home: Path) -> None:
    lines = [f"{n},x{n},{('free', 'paid')[n % 2]}" for n in range(200)]
    report = write_first_site(home, [], customers_csv(tmp_path, 'id,"a\nsynthetic: true",plan', lines))
    assert load_site(report.site_file) == SiteFile.model_validate(yaml.safe_load(report.site_file.read_text()))
    assert not load_site(report.site_file).synthetic
    assert "column number 2" in reasons(report)


def test_an_existing_site_file_is_kept_unless_overwriting_is_asked_for(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    (home / "site.yaml").write_text("mine")
    with pytest.raises(ConfigurationError, match="not overwritten"):
        write_first_site(home, [], customers_csv(tmp_path))
    assert (home / "site.yaml").read_text() == "mine"
    write_first_site(home, [], customers_csv(tmp_path), overwrite=True)
    assert load_site(home / "site.yaml")


def test_nothing_is_left_behind_where_a_source_is_refused(tmp_path: Path, home: Path) -> None:
    with pytest.raises(SourceError):
        write_first_site(home, busy_logs(tmp_path), str(tmp_path / "absent.csv"))
    assert not home.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "empty"), ("id,plan\n", "must have rows"), ("1,ada@example.org\n2,bob@example.org\n", "header line")],
)
def test_a_file_that_is_no_customer_table_stops_with_a_clear_error(
    tmp_path: Path, home: Path, content: str, message: str
) -> None:
    (tmp_path / "customers.csv").write_text(content)
    with pytest.raises(SourceError, match=message) as caught:
        write_first_site(home, [], str(tmp_path / "customers.csv"))
    assert "ada" not in str(caught.value)


def test_a_table_of_which_nothing_may_be_counted_is_refused(tmp_path: Path, home: Path) -> None:
    lines = [f"{n},Ada{n},a{n}@example.org" for n in range(100)]
    with pytest.raises(ConfigurationError, match="at least one column that may be counted by"):
        write_first_site(home, [], customers_csv(tmp_path, "id,name,email", lines))


def test_a_table_without_anything_that_tells_customers_apart_is_refused(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ConfigurationError, match="tells customers apart"):
        write_first_site(home, [], customers_csv(tmp_path, "group_id,plan", [f"{n % 5},free" for n in range(100)]))


def test_a_customer_table_with_card_numbers_is_refused(tmp_path: Path, home: Path) -> None:
    with pytest.raises(PaymentDataError, match="card_number"):
        write_first_site(home, [], customers_csv(tmp_path, "id,plan,card_number", ["1,free,4111111111111111"]))
    with pytest.raises(PaymentDataError, match="'reference'") as caught:
        write_first_site(home, [], customers_csv(tmp_path, "id,plan,reference", ["1,free,4111111111111111"]))
    assert "4111" not in str(caught.value)


def test_logs_of_another_format_are_refused(tmp_path: Path, home: Path) -> None:
    lines = [f"198.51.100.{n} asked for something" for n in range(10)]
    with pytest.raises(SourceError, match="format that is read"):
        write_first_site(home, logs(tmp_path, *lines), None)


def test_a_missing_log_and_no_source_at_all_are_errors(tmp_path: Path, home: Path) -> None:
    with pytest.raises(SourceError):
        write_first_site(home, [str(tmp_path / "absent.log")], None)
    with pytest.raises(ConfigurationError, match="neither"):
        write_first_site(home, [], None)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    customers = customers_csv(tmp_path)
    with pytest.raises(ConfigurationError, match="must be writable"):
        write_first_site(Path(customers) / "home", [], customers)


def test_the_first_policy_covers_the_first_releases_from_their_first_day(tmp_path: Path, home: Path) -> None:
    report = write_first_site(home, busy_logs(tmp_path), customers_csv(tmp_path))
    assert report.policy_file == home / "policy.yaml"
    policy = load_policy(home / "policy.yaml")
    for specification in load_specifications(home / "releases"):
        for period in report.periods[specification.population]:
            require_covered(policy, specification, period, dt.date(2030, 1, 1))
        assert NO_VERSION in policy.covering(specification)
    assert "without having seen" in (home / "policy.yaml").read_text()
    assert f"Written: {home / 'policy.yaml'}" in describe(report)


def test_a_policy_that_is_there_stands(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    write_policy(home)
    before = (home / "policy.yaml").read_bytes()
    for overwrite in (False, True):
        report = write_first_site(home, busy_logs(tmp_path), None, overwrite=overwrite)
        assert report.policy_file is None
        assert "policy.yaml" not in describe(report)
        assert (home / "policy.yaml").read_bytes() == before
