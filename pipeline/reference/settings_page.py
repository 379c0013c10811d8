"""The page about settings, made from the models that read them."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from pipeline.flow_settings import Setting, all_settings

_HEAD: Final = """# Settings

Made from the program by `demographics reference --write`; a test compares them.

A deployment is set up by variables of the environment; one that is empty is one that is not set. What is about people,
numbers and recipients is set nowhere here: it stands in the [site file, the specifications and the
policy](specification.md), and in the [entitlements](entitlements.md), which are read and reviewed.

```sh
demographics config check
demographics config show --all
```

The first tells everything that is wrong at once: with settings, the site file, and the specifications. It asks no
server, changes nothing, and ends with exit code 3 where there is a problem. The second shows what holds, and where it
comes from; secrets are never shown.

A variable that begins with `DEMOGRAPHICS_` and that nothing reads is a problem, too: it is most often misspelt.
`DEMOGRAPHICS_TOKEN` is known: scripts have it that recipients copy from the portal. What may hold a secret is marked
*secret*, and is better kept in a file or an Airflow connection where there is a setting for that.
"""

_COLUMNS: Final = "| Variable | What it says | If not set |\n| --- | --- | --- |"


def settings_page() -> str:
    """The whole page, Markdown."""
    parts = [_HEAD]
    for section, settings in groupby(all_settings(), lambda setting: setting.section):
        parts.append(f"## {section[0].upper()}{section[1:]}\n\n{_COLUMNS}")
        parts.append("\n".join(_row(setting) for setting in settings) + "\n")
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    about = setting.about.replace("|", "\\|")
    if setting.choices:
        about += f" One of {', '.join(f'`{one}`' for one in setting.choices)}."
    name = f"`{setting.name}`{', *secret*' if setting.hidden else ''}"
    return f"| {name} | {about} | {f'`{setting.usual}`' if setting.usual else ''} |"
