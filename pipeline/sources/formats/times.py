"""Times as servers are configured to log them, as instants: SQL for DuckDB's engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigurationError
from pipeline.sources.engine import quoted

_COMMON: Final = "%d/%b/%Y:%H:%M:%S %z"
_WORD: Final = "[A-Za-z]+"
# Directives of strftime, each with what it writes; those of the engine's own strptime have the same names.
_WRITES: Final = {
    "a": _WORD, "A": _WORD, "b": _WORD, "B": _WORD, "d": r" ?\d{1,2}", "f": r"\d{6}", "g": r"\d{3}", "H": r" ?\d{1,2}",
    "I": r" ?\d{1,2}", "j": r"\d{1,3}", "m": r"\d{1,2}", "M": r"\d{2}", "p": "[AaPp][Mm]", "S": r"\d{2}", "y": r"\d{2}",
    "Y": r"\d{4}", "z": r"(?:[-+]\d{2}:?\d{2}|Z)", "Z": "[A-Za-z_/+-]+", "%": "%",
}  # fmt: skip
_SHORT: Final = {
    "T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y", "e": "%d", "h": "%b", "k": "%H", "l": "%I",
    "r": "%I:%M:%S %p", "n": "\n", "t": "\t", "c": "%a %b %d %H:%M:%S %Y", "x": "%m/%d/%y", "X": "%H:%M:%S",
}  # fmt: skip
_SECONDS: Final = {"sec": 1, "s": 1, "msec": 1_000, "usec": 1_000_000}
_FRACTIONS: Final = {"msec_frac": "%g", "usec_frac": "%f"}
_NUMBER: Final = r"\d{1,17}(?:\.\d{1,6})?"


@dataclass(frozen=True)
class Clock:
    """How a directive writes a time.

    Attributes:
        layout: A format of strptime; '' where it writes a number since 1970 or ISO 8601.
        a_second: How much the number grows in a second; 0 where it is none.
    """

    layout: str = ""
    a_second: int = 0

    @property
    def pattern(self) -> str:
        """A regular expression of what is written."""
        if self.a_second:
            return _NUMBER
        if not self.layout:
            return r"\d{4}-\d{2}-\d{2}[T ][0-9:.,]+(?:Z|[-+]\d{2}:?\d{2})?"
        parts = re.split(r"(%.)", self.layout)
        return "".join(_WRITES[one[1]] if one.startswith("%") else re.escape(one) for one in parts if one)

    @property
    def rank(self) -> int:
        """How much it tells: an instant, a local time, or a piece of one."""
        if self.a_second or not self.layout or "%z" in self.layout:
            return 2
        return int("%H" in self.layout or "%I" in self.layout)

    @property
    def is_whole(self) -> bool:
        """Whether it tells a day and an hour."""
        has = [f"%{one}" in self.layout for one in "YymbBdjHIp"]
        year, month, day = any(has[:2]), any(has[2:5]), has[5]
        hour = has[7] or (has[8] and has[9])
        return bool(self.a_second) or not self.layout or (year and ((month and day) or has[6]) and hour)

    def can_join(self, other: Clock) -> bool:
        """Whether the two write one time between them."""
        return bool(self.layout) and bool(other.layout) and not other.is_whole

    def joined(self, sign: str, other: Clock) -> Clock:
        """The time that both write, with a sign between them."""
        return Clock(self.layout + sign.replace("%", "%%") + other.layout)

    def moment(self, text: str, zone: ZoneInfo) -> str:
        """SQL: the instant that a text names; NULL if it is none.

        A time without a zone is read in ``zone``. Of an hour that comes twice it is the later one, and an hour that is
        left out is read as the one after it, as ICU does.
        """
        if self.a_second:
            return f"TRY(to_timestamp(TRY_CAST({text} AS DOUBLE) / {self.a_second}))"
        if not self.layout:
            zoned = f"TRY_CAST(replace({text}, ',', '.') AS TIMESTAMPTZ)"
            local = f"timezone({quoted(zone.key)}, TRY_CAST(replace({text}, ',', '.') AS TIMESTAMP))"
            return rf"CASE WHEN regexp_matches({text}, '(Z|[-+]\d\d:?\d\d)$') THEN {zoned} ELSE {local} END"
        parsed = f"try_strptime({text}, {quoted(self.layout)})"
        return parsed if "%z" in self.layout else f"timezone({quoted(zone.key)}, {parsed})"


def apache_clock(argument: str) -> Clock:
    """What ``%{argument}t`` writes.

    Raises:
        ConfigurationError: It is no time that can be read.
    """
    plain = re.sub("^(begin|end):", "", argument)
    if not plain:
        return Clock(_COMMON)
    if plain in _SECONDS:
        return Clock(a_second=_SECONDS[plain])
    layout = _FRACTIONS.get(plain) or re.sub("%([TRFDehklrntcxX])", lambda found: _SHORT[found[1]], plain)
    if layout == "%s":
        return Clock(a_second=1)
    unknown = [one for one in re.findall("%(.?)", layout) if one not in _WRITES]
    if unknown or "%" not in layout:
        raise ConfigurationError(
            "a time of a log_format must be made of known directives of strftime",
            value=repr(f"%{{{argument}}}t"),
            remedy="Use %t, or %d %m %Y %H %M %S %z and the like.",
        )
    return Clock(layout)


def nginx_clock(variable: str) -> Clock | None:
    """What a variable writes, if it is a time."""
    return {"$time_local": Clock(_COMMON), "$time_iso8601": Clock(), "$msec": Clock(a_second=1)}.get(variable)
