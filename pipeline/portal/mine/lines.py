"""What a recipient pastes into a shell, Python, R or Excel to get one table. No line holds a token."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.delivery.catalogue import Held


@dataclass(frozen=True)
class Line:
    """One way to get a table.

    Attributes:
        title: Into what it is pasted.
        code: The line or lines.
        hint: What else is to be done; empty where nothing is.
    """

    title: str
    code: str
    hint: str = ""


def lines_of(origin: str, held: Held, table: str) -> tuple[Line, ...]:
    """How to get one table of an edition with programs.

    Args:
        origin: Scheme, host and port of the pages.
        held: The edition.
        table: Name of the table.
    """
    one = held.edition
    base = f"{origin}/api/v1/products/{one.product}/editions/{one.period}/{one.revision}/files/{table}"
    return (
        Line("curl", _curl(base, table)),
        Line("Python (pandas)", _pandas(base)),
        Line("R", _r(base)),
        Line(
            "Excel (Data, Get Data, From Other Sources, Blank Query, Advanced Editor)",
            _excel(base),
            "Write your token in the place of dgx_..., and choose Anonymous when Excel asks how to connect. The "
            "workbook that Excel keeps then holds the token. To have the numbers once, download the XLSX file instead.",
        ),
    )


def _curl(base: str, table: str) -> str:
    return (
        'curl --fail --silent --show-error --header "Authorization: Bearer $DEMOGRAPHICS_TOKEN" \\\n'
        f'  --output {table}.csv "{base}.csv"'
    )


def _pandas(base: str) -> str:
    return (
        "import os\n"
        "import pandas as pd\n"
        "bearer = {'Authorization': 'Bearer ' + os.environ['DEMOGRAPHICS_TOKEN']}\n"
        f"table = pd.read_parquet('{base}.parquet', storage_options=bearer)"
    )


def _r(base: str) -> str:
    return (
        'bearer <- c(Authorization = paste("Bearer", Sys.getenv("DEMOGRAPHICS_TOKEN")))\n'
        f'there <- url("{base}.csv", headers = bearer, encoding = "UTF-8-BOM")\n'
        'table <- read.csv(there, na.strings = "")'
    )


def _excel(base: str) -> str:
    return (
        "let\n"
        f'  Source = Web.Contents("{base}.csv", [Headers = [Authorization = "Bearer dgx_..."]]),\n'
        '  Table = Csv.Document(Source, [Delimiter = ",", Encoding = 65001, QuoteStyle = QuoteStyle.Csv])\n'
        "in\n"
        "  Table.PromoteHeaders(Table)"
    )
