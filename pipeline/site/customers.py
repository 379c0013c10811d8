"""What the site file says of customers and their orders."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from pipeline.documents import Document
from pipeline.periods import PeriodKind
from pipeline.site.columns import CustomerColumn, OrderValueColumn, ReadColumn
from pipeline.site.tables import CsvSource, DatabaseSource, TableSource
from pipeline.site.visitors import Share
from pipeline.vocabulary import Key, Name, Quantity

# The quantity that orders carry, and its column in staging: of orders in several currencies, how those names begin.
REVENUE: Final = "revenue"
# The column of staging with the versions of the privacy policy that bind a customer, one space between them.
POLICY_VERSIONS: Final = "policy_versions"
# Of the smallest unit, either way: sums over nine million such amounts still fit into 64 bits.
LARGEST_AMOUNT: Final = 10**12
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"
MOST_DECIMALS: Final = 3

Currency = Annotated[str, Field(pattern=CURRENCY_PATTERN)]

# Currencies whose smallest unit is not a hundredth (ISO 4217, list one, column "minor unit").
_DECIMALS: Final = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0,
    "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4,
}  # fmt: skip


class AmountColumn(Document):
    """What an order came to, kept as a whole number of its currency's smallest unit."""

    column: str
    """Name of the column in the source: a decimal number, ``1249.90``; without a currency sign."""
    currency: Currency | None = None
    """ISO 4217 code of the currency that every amount is in. Either this or ``currency_column``."""
    currency_column: str | None = None
    """Name of the column with the ISO 4217 code of each order's currency, for amounts in several."""
    currencies: tuple[Currency, ...] = ()
    """With ``currency_column``: the currencies that are read. An order in any other cannot be used."""
    decimals: Annotated[int, Field(ge=0, le=MOST_DECIMALS)] | None = None
    """Digits after the point at most: 2 keeps cents; those of ISO 4217 if left out. An amount with more cannot be used,
    nor one of over 10^12 of the smallest units."""
    title: str = "Revenue"
    """Heading of the quantity, as recipients read it."""

    @model_validator(mode="after")
    def _one_way_to_tell_the_currency(self) -> AmountColumn:
        if (self.currency is None) == (self.currency_column is None):
            raise ValueError("amounts must have either currency or currency_column")
        if (self.currency_column is None) != (not self.currencies):
            raise ValueError("currencies must be declared with currency_column, and with it alone")
        if len(set(self.currencies)) < len(self.currencies):
            raise ValueError("currencies must be named once each")
        for name in self.all_currencies:
            if self.decimals_of(name) > MOST_DECIMALS:
                raise ValueError(f"amounts in {name} must have decimals declared, {MOST_DECIMALS} at most")
        return self

    @property
    def all_currencies(self) -> tuple[str, ...]:
        """Every currency that amounts may be in."""
        return self.currencies if self.currency is None else (self.currency,)

    @property
    def names(self) -> dict[str, str]:
        """By currency, the column of staging that holds it: ``revenue``, or ``revenue_eur`` where there are several."""
        if self.currency is not None:
            return {self.currency: REVENUE}
        return {currency: f"{REVENUE}_{currency.lower()}" for currency in self.currencies}

    def decimals_of(self, currency: str) -> int:
        """Digits after the point that amounts in this currency may have."""
        return _DECIMALS.get(currency, 2) if self.decimals is None else self.decimals

    def unit_of(self, currency: str) -> str:
        """What one of the whole number is: ``0.01 EUR``."""
        decimals = self.decimals_of(currency)
        return f"{10.0**-decimals:.{decimals}f} {currency}"

    def quantities(self) -> dict[str, Quantity]:
        """What tables can add up, by name: one a currency."""
        several = self.currency is None
        return {
            name: Quantity(name, f"{self.title} in {currency}" if several else self.title, self.unit_of(currency))
            for currency, name in self.names.items()
        }


class OrderSource(Document):
    """The payment service's export of orders: what was bought, never how it was paid."""

    source: TableSource
    """Where the orders are."""
    person: str
    """Column that names the customer as the customer table does; becomes a pseudonym."""
    placed: str
    """Column with the date of the order (ISO 8601)."""
    incremental: bool = False
    """Whether the query itself asks for the period's orders only, and for those without a date. For databases whose
    column of dates is a date or a time, or ISO 8601 text. Orders outside the period are then not counted as read."""
    product: str
    """Column with the product."""
    products: Annotated[tuple[Key, ...], Field(min_length=1)]
    """Products that may be named in a table; any other is ``other``."""
    amount: AmountColumn | None = None
    """What the order came to, if tables may add up revenue; the quantity is named ``revenue``, or ``revenue_eur``,
    ``revenue_usd``, ... where amounts are in several currencies."""
    max_rejected_share: Share = 0.01
    """Above this share of orders that cannot be used, ingestion stops."""

    @model_validator(mode="after")
    def _files_are_read_in_full(self) -> OrderSource:
        if self.incremental and isinstance(self.source, CsvSource):
            raise ValueError("incremental is for databases: a file is always read in full")
        return self


class PolicyColumns(Document):
    """Columns that tell which version of the privacy policy a customer is bound by; see ``policy.yaml``."""

    accepted: str | None = None
    """Column with the version that the customer accepted. Left out, it is the one in force on the day of sign-up."""
    notified: str | None = None
    """Column with a later version of which the customer was notified."""
    notified_on: str | None = None
    """Column with the date of that notice (ISO 8601)."""
    opted_out: str | None = None
    """Column that tells who opted out: anything but nothing, 0, false, no, n or f does; a date for example."""

    @model_validator(mode="after")
    def _a_notice_has_its_day(self) -> PolicyColumns:
        if (self.notified is None) != (self.notified_on is None):
            raise ValueError("notified and notified_on must be declared together")
        return self


class CustomerSource(Document):
    """Customer records: declared columns only."""

    source: TableSource
    """Where the customers are."""
    person: str
    """Column that tells customers apart; becomes a pseudonym and is not stored."""
    period: PeriodKind = PeriodKind.MONTH
    """The period in which a customer is one person (the privacy unit)."""
    signed_up: str | None = None
    """Column with the date of sign-up (ISO 8601); who signed up after a period is not of it."""
    changed: str | None = None
    """Column with the instant of a row's last change, of a database. A period that is ingested again then reads only
    rows that changed since an hour before the earlier reading began, and keeps the others. A row that was deleted from
    the source is not noticed by that: it stays until the period is read in full, as it is where this section of the
    site file, the source or the program changed, or earlier staging was removed."""
    email: str | None = None
    """Column with the e-mail address, if people's requests may name them by it. It is read into memory, becomes a
    pseudonym beside the one of ``person``, and is not stored."""
    policy: PolicyColumns = PolicyColumns()
    """Which version of the privacy policy binds a customer."""
    dimensions: Annotated[dict[Name, CustomerColumn], Field(min_length=1)]
    """Declared columns, each with its generalisation."""
    orders: OrderSource | None = None
    """Where orders are, if tables may count who ordered which product."""
    max_rejected_share: Share = 0.01
    """Above this share of customers that cannot be used, ingestion stops."""

    @property
    def read_columns(self) -> dict[str, ReadColumn]:
        """Dimensions that are made of a column of the customer table, by name."""
        found = self.dimensions.items()
        return {name: column for name, column in found if not isinstance(column, OrderValueColumn)}

    @property
    def order_values(self) -> dict[str, OrderValueColumn]:
        """Dimensions that are made of the orders' amounts, by name."""
        return {name: column for name, column in self.dimensions.items() if isinstance(column, OrderValueColumn)}

    @model_validator(mode="after")
    def _name_of_the_versions_is_kept(self) -> CustomerSource:
        if POLICY_VERSIONS in self.dimensions:
            raise ValueError(f"'{POLICY_VERSIONS}' tells what binds a customer: give the dimension another name")
        return self

    @model_validator(mode="after")
    def _names_of_orders_are_kept(self) -> CustomerSource:
        if self.orders is None:
            return self
        kept = ("product", *(self.orders.amount.names.values() if self.orders.amount else ()))
        for name in kept:
            if name in self.dimensions:
                raise ValueError(f"'{name}' comes from the orders: give the customers' dimension another name")
        return self

    @model_validator(mode="after")
    def _order_values_have_amounts(self) -> CustomerSource:
        amount = self.orders.amount if self.orders else None
        for name, column in self.order_values.items():
            if amount is None:
                raise ValueError(f"'{name}' needs orders with an amount")
            chosen = column.currency or amount.currency
            if chosen not in amount.all_currencies:
                raise ValueError(f"'{name}' must name one of the currencies of the orders: {amount.all_currencies}")
        return self

    @model_validator(mode="after")
    def _changes_are_of_a_database(self) -> CustomerSource:
        if self.changed is not None and not isinstance(self.source, DatabaseSource):
            raise ValueError("changed is for databases: a file is always read in full")
        return self
