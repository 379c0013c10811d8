"""How templates of pages are filled in: one way for all rooms that have some."""

from __future__ import annotations

import jinja2


def environment(*packages: str) -> jinja2.Environment:
    """Templates of the folders ``templates/`` of these packages, looked for in their order.

    What ends in ``.html.j2`` is escaped, everything else is not. A name that is not there is an error.
    """
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates") for package in packages]),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
