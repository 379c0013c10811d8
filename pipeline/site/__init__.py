"""The site file: which sources there are, what of them is read, and how it is generalised.

Default deny: a field or column that the site file does not declare is never read.
"""

from pipeline.site.columns import (
    OLDEST_AGE,
    AgeColumn,
    BandColumn,
    CategoryColumn,
    CountryColumn,
    CustomerColumn,
    MonthColumn,
    OrderValueColumn,
    ReadColumn,
    RegionColumn,
    YearColumn,
    month_number,
)
from pipeline.site.customers import (
    CURRENCY_PATTERN,
    LARGEST_AMOUNT,
    POLICY_VERSIONS,
    REVENUE,
    AmountColumn,
    CustomerSource,
    OrderSource,
    PolicyColumns,
)
from pipeline.site.file import BudgetCap, RequestTable, Retention, SiteFile, load_site
from pipeline.site.tables import CsvSource, DatabaseSource, TableSource
from pipeline.site.visitors import (
    COUNTRY_PATTERN,
    ErrorLogSource,
    FileKindRule,
    LogSource,
    RegionDatabase,
    RequestField,
    SectionRule,
    TrailingField,
    VisitorSource,
)

__all__ = [
    "COUNTRY_PATTERN",
    "CURRENCY_PATTERN",
    "LARGEST_AMOUNT",
    "OLDEST_AGE",
    "POLICY_VERSIONS",
    "REVENUE",
    "AgeColumn",
    "AmountColumn",
    "BandColumn",
    "BudgetCap",
    "CategoryColumn",
    "CountryColumn",
    "CsvSource",
    "CustomerColumn",
    "CustomerSource",
    "DatabaseSource",
    "ErrorLogSource",
    "FileKindRule",
    "LogSource",
    "MonthColumn",
    "OrderSource",
    "OrderValueColumn",
    "PolicyColumns",
    "ReadColumn",
    "RegionColumn",
    "RegionDatabase",
    "RequestField",
    "RequestTable",
    "Retention",
    "SectionRule",
    "SiteFile",
    "TableSource",
    "TrailingField",
    "VisitorSource",
    "YearColumn",
    "load_site",
    "month_number",
]
