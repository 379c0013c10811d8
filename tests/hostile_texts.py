"""Texts that somebody sends to do harm where they are shown, stored or parsed."""

from __future__ import annotations

from typing import Final

HOSTILE: Final = {
    "nothing": "",
    "blanks": " \t ",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x9b",
    "a NUL": "\x00",
    "a terminal's escape": "\x1b]0;owned\x07\x1b[31m",
    "a formula": "=cmd|' /C calc'!A0",
    "a formula with a sign": "@SUM(1+1)*cmd|'x'",
    "marks of direction": "\u202egpj.exe\u2066x\u2069",
    "SQL": "'; DROP TABLE requests; --",
    "markup": "<script>alert(1)</script>",
    "an e-mail address": "jane.roe@example.net",
    "100 kB": "A" * 100_000,
    "100 kB of commas": "," * 100_000,
    "100 kB of digits": "9" * 100_000,
    "half a character": "\ufffd\ufffe",
    "letters outside the basic plane": "\U0001d7d8\U0001f600",
    "digits that are not ASCII": "\u0661\u0662\u0667.\u0660.\u0660.\u0661",
    "an encoded line feed": "%0d%0aSet-Cookie:%20x=y",
}
