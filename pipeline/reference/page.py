"""The page ``docs/specification.md``: every key of the YAML files, the dimensions, an example, the errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pipeline.errors import ConfigurationError, SpecificationError
from pipeline.reference import example
from pipeline.reference.example import Break
from pipeline.reference.schemas import Schema, policy_schema, release_schema, site_schema
from pipeline.reference.wording import code, default_words, table, type_words
from pipeline.site import FileKindRule, RegionDatabase, SectionRule, VisitorSource
from pipeline.site.dimensions import visitor_dimensions
from pipeline.vocabulary import OTHER, UNKNOWN, Dimension, Population

# How the values of a dimension of visitors come about. Every dimension has one.
MEANINGS: Final = {
    "country": "Country of the network address (ISO 3166-1 alpha-2).",
    "operating_system": "Family of the operating system, without its version.",
    "browser": "Family of the browser, without its version.",
    "language": "Language that the browser wants most, without the region. It is `unknown` where the "
    "format does not log `accept_language`.",
    "referrer_class": "Whether a page was reached directly, from the site itself, by search, social network, mail, "
    "campaign or another site.",
    "referrer_domain": "Registered domain of the referring site: one of a list, or as it is found (`any`).",
    "section": "Section of the site to which the page belongs.",
    "file_kind": "Kind of file: by the site's own rules, or by the ending of its name.",
    "entry_section": "Section of a visit's first page, of no other request. Thirty minutes of silence end a visit.",
    "exit_section": "Section of a visit's last page, likewise.",
    "from_section": "Section of the page before, where a visit goes on to another section.",
    "to_section": "Section of the page after, where a visit comes from another section.",
    "browser_version": "Family and major version of the browser, of declared versions.",
    "region": "Region of declared countries (ISO 3166-2) by the declared database of network addresses.",
    "time_zone": "Time zone that the browser itself reports: there where a field or `time_zone_parameter` is declared.",
    "error_level": "Level of the error that the request came with; there with `error_logs`.",
    "error_kind": "What the error was about; there with `error_logs`.",
    "status_class": "First digit of the answer's HTTP status.",
    "hour": "Hour of the request in the site's time zone.",
    "weekday": "Day of the week of the request in the site's time zone.",
}
_MOST_SHOWN: Final = 10

_HEAD: Final = f"""\
<!-- Made from the program by `demographics reference --write`; a change by hand does not last. -->

# Release specifications, the site file and the privacy policy

A **release specification** is one YAML file a release: what is counted, for whom, and how much it may tell about one
person. The **site file**, `{example.SITE_NAME}`, says which sources there are and what of them is read; what it does
not declare is never read. The **privacy policy**, `{example.POLICY_NAME}` beside it, says what people were told that
they are counted for. All refuse keys they do not know. Comments and layout mean nothing: a release keeps its digest
when only they change.

Editors that read JSON Schema complete and check these files, by
[release.schema.json](schema/release.schema.json), [site.schema.json](schema/site.schema.json) and
[policy.schema.json](schema/policy.schema.json).
For editors with the YAML language server, begin a file with a line that leads to its schema, as
[weekly_audience.yaml](../dags/releases/weekly_audience.yaml) does:

```yaml
# yaml-language-server: $schema=../../docs/schema/release.schema.json
```

`demographics check` checks the site file, the policy and all specifications together, and reads no source.
`demographics plan` then shows what noise to expect.
"""

_COVERED: Final = """\
### Whom a release counts

A release is refused unless the version in force on the day has its purpose, for its population and for every audience
that it names: when specifications are checked, before anything is drawn, and once more before anything is published.
A new purpose or a new audience so takes a new version, and a version without a purpose stops what had it.

- **Visitors** accept nothing by name. Every version that was in force on some day of the period must have the purpose:
  it is the notice that stood while they visited.
- A **customer** counts if one of the versions that bind them has the purpose for every audience of the release. Bound
  they are by the version they accepted; where no column tells it, by the one in force on the day of sign-up; and by the
  version they were notified of, from `notice_days` after the notice on, if that is at the end of the period at the
  latest and the version is in force by then. A version that the policy does not have binds nobody. A customer of whom
  no version is known counts for what every version of the policy covers.
- Who **opted out** is left out when the period is ingested, and counted nowhere.
"""

_NAMES: Final = """\
## Names and keys

A **name** is made of 1 to 40 small letters, digits and underscores, and begins with a letter: `by_country`. A **key**
is a value that may be named in a table: 1 to 60 characters without control characters. `all` and `all other` are kept
for totals and remainders; neither may be a name or a key. Whoever reads a release sees the keys, so declare none that
is not public.
"""

_CUSTOMERS: Final = """\
## Dimensions of customers

Each entry under `dimensions` of the [customer source](#customer-source) is one dimension, under the name it has
there. A customer has one value of each, so tables over them leave out `max_groups`. The keys are those of the example
below.
"""

_VISITORS: Final = """\
## Dimensions of visitors

A visitor has one value a period of some dimensions, the most frequent; tables over these alone leave out
`max_groups`. Of the others a visitor may have many; a table with one of them needs `max_groups`, and counts a visitor
in so many groups at most.
"""

_QUANTITIES: Final = """\
## Quantities

What [events](#events-measure) count and [sums](#sum-measure) add up. Distinct people are counted in every table. The
quantities of customers are there where the site file declares their `orders`, and the `amount` of these; units are
those of the example below.
"""

_EXAMPLE: Final = """\
## Example

A site file, a policy, and a specification that fits both. The specification's file is named as its release.
"""

_ERRORS: Final = """\
## Errors

`demographics check` ends with 0 if all is well, with 2 if it was called wrongly, and with {code} if a file breaks a
rule. It then says on standard error which rule, what was found instead, and what to do. Rules within one file are all
told at once:

```text
Stopped. {message}
```
"""


def specification_page() -> str:
    """The whole page, Markdown."""
    release, site, policy = release_schema(), site_schema(), policy_schema()
    return "\n".join((
        _HEAD,
        "\n".join(_models("The release specification", release)),
        "\n".join(_models("The site file", site)),
        "\n".join(_models("The privacy policy", policy)),
        _COVERED,
        _NAMES,
        f"{_VISITORS}\n{_visitor_table()}\n",
        f"{_CUSTOMERS}\n{_customer_table()}\n",
        f"{_QUANTITIES}\n{_quantity_table()}\n",
        f"{_EXAMPLE}\n{_listing(example.SITE_NAME, example.SITE_TEXT)}\n"
        f"{_listing(example.POLICY_NAME, example.POLICY_TEXT)}\n"
        f"{_listing(example.RELEASE_NAME, example.RELEASE_TEXT)}",
        _errors(),
    ))  # fmt: skip


def _models(heading: str, schema: Schema) -> Iterator[str]:
    """A section of the document, and one of each model in it, in the order in which keys lead to them."""
    yield _model(f"## {heading}", schema, schema["$defs"])
    for name in dict.fromkeys(_models_under(schema, schema["$defs"])):
        model = schema["$defs"][name]
        yield _model(f"### {model['title']}", model, schema["$defs"])


def _model(heading: str, model: Schema, definitions: Schema) -> str:
    rows = [
        (
            code(name),
            type_words(node, definitions),
            default_words(name, node, model),
            node["description"],
        )
        for name, node in model["properties"].items()
    ]
    return f"{heading}\n\n{model['description']}\n\n{table(('Key', 'Value', 'Default', 'Meaning'), rows)}\n"


def _models_under(node: Any, definitions: Schema) -> Iterator[str]:
    children = node if isinstance(node, list) else [value for key, value in node.items() if key != "$defs"]
    for child in children:
        if isinstance(child, dict | list):
            yield from _models_under(child, definitions)
        elif isinstance(child, str) and child.startswith("#/$defs/"):
            name = child.rpartition("/")[2]
            if "properties" in definitions[name]:
                yield name
                yield from _models_under(definitions[name], definitions)


def _visitor_table() -> str:
    plain = visitor_dimensions(VisitorSource(logs=("access.log",)))
    rows = [
        (code(name), MEANINGS[name], _keys(name, item, plain), _needs(item))
        for name, item in visitor_dimensions(EVERYTHING).items()
    ]
    return table(("Dimension", "Meaning", "Keys", "`max_groups`"), rows)


# A source that declares all that a dimension may need.
EVERYTHING: Final = VisitorSource(
    logs=("access.log",),
    error_logs=("error.log",),
    sections=(SectionRule(section="docs", paths=("/docs/*",)),),
    file_kinds=(FileKindRule(kind="manual", paths=("/manual/*",)),),
    referrer_domains=("example.org",),
    languages=("en",),
    browser_versions={"Firefox": (140, 141)},
    regions=RegionDatabase(database="regions.mmdb", countries=("DE",)),
    time_zone_parameter="tz",
)
# Dimensions whose keys the site file declares, each with the key of the visitor source that does.
DECLARED: Final = {
    "language": "languages",
    "referrer_domain": "referrer_domains",
    "section": "sections",
    "file_kind": "file_kinds",
    "entry_section": "sections",
    "exit_section": "sections",
    "from_section": "sections",
    "to_section": "sections",
    "browser_version": "browser_versions",
    "region": "regions",
}


def _keys(name: str, dimension: Dimension, plain: Mapping[str, Dimension]) -> str:
    """The keys in words; ``plain`` are the dimensions of a site that declares nothing."""
    owned = DECLARED.get(name)
    if owned is None:
        return _counted(dimension)
    if name not in plain:
        return f"those of `{owned}` in the site file, and {_shown((OTHER, UNKNOWN))}; there only with `{owned}`"
    fixed = tuple(key for key in dimension.keys if key in plain[name].keys) if name != "language" else (OTHER, UNKNOWN)
    return f"those of `{owned}` in the site file, and {_shown(fixed)}; {len(plain[name].keys)} if `{owned}` is left out"


def _counted(dimension: Dimension) -> str:
    return f"{len(dimension.keys)}: {_shown(dimension.keys)}"


def _shown(keys: tuple[str, ...]) -> str:
    if len(keys) <= _MOST_SHOWN:
        return ", ".join(map(code, keys))
    return f"{', '.join(map(code, keys[:3]))} to {', '.join(map(code, keys[-2:]))}"


def _needs(dimension: Dimension) -> str:
    return "left out" if dimension.per_person else "needed"


def _customer_table() -> str:
    """One row a kind of column, as the example has them, and the product of orders."""
    site = example.example_site()
    assert site.customers is not None
    dimensions = site.dimensions(Population.CUSTOMERS)
    rows = [
        (code(column.kind), _summary(type(column)), _counted(dimensions[name]), _needs(dimensions[name]))
        for name, column in site.customers.dimensions.items()
    ]
    product = dimensions["product"]
    meaning = "The dimension `product`, where the site file declares `orders`: what a customer ordered in the period."
    rows.append(("(orders)", meaning, _counted(product), _needs(product)))
    return table(("Kind", "Meaning", "Keys, for example", "`max_groups`"), rows)


def _quantity_table() -> str:
    site = example.example_site()
    rows = [
        (code(quantity.name), str(population), quantity.title, quantity.unit)
        for population in Population
        for quantity in site.quantities(population).values()
    ]
    return table(("Quantity", "Population", "Meaning", "Unit, for example"), rows)


def _summary(model: type[object]) -> str:
    return " ".join((inspect.getdoc(model) or "").replace("``", "`").split())


def _listing(name: str, text: str) -> str:
    return f"`{name}`:\n\n```yaml\n{text}```\n"


def _errors() -> str:
    assert SpecificationError.exit_code == ConfigurationError.exit_code
    several = example.parsed(example.RELEASE_TEXT) | {
        "period": "year",
        "privacy": {"epsilon": 1, "delta": 1e-7, "k": 1},
    }
    head = _ERRORS.format(code=ConfigurationError.exit_code, message=_refusal(several))
    return (
        f"{head}\nRules that the schemas hold too, so that an editor marks what breaks them:\n\n"
        f"{_rules(example.SEEN_BY_EDITORS)}\n\n"
        f"Rules that only the program can check:\n\n{_rules(example.SEEN_BY_CHECK)}\n"
    )


def _refusal(release: dict[str, Any]) -> str:
    try:
        example.bound_example(release)
    except SpecificationError as failure:
        return str(failure)
    raise ValueError("nothing refuses the broken example")


def _rules(breaks: Iterable[Break]) -> str:
    return table(("Rule", "What the program says, for example"), [(one.rule, code(one.message())) for one in breaks])
