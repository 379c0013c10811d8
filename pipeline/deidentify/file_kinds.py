"""Kinds of files: declared rules over paths, then the ending of a name, as one SQL expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.deidentify.sections import matches_any
from pipeline.site.visitors import FileKindRule
from pipeline.sources.engine import quoted
from pipeline.vocabulary import OTHER

# A list of our own, so that a kind means the same with every release of Python and on every machine, which the
# standard library's types do not.
ENDINGS: Final = {
    "page": "html htm xhtml shtml php php3 php4 php5 php7 phtml asp aspx jsp jspx jsf do action cfm cgi",
    "download": (
        "exe msi msix appx dmg pkg deb rpm apk aab ipa snap flatpak appimage jar war whl gem nupkg crx xpi vsix run "
        "zip tar gz tgz bz2 tbz tbz2 xz txz zst tzst lz lzma 7z rar cab z iso img bin torrent "
        "pdf epub mobi doc docx odt rtf xls xlsx ods csv ppt pptx odp ps"
    ),
    "image": "png apng jpg jpeg jpe jfif gif svg svgz webp avif heic heif jxl ico bmp tif tiff",
    "script": "js mjs cjs",
    "style": "css",
    "font": "woff woff2 ttf otf eot",
    "media": "mp3 mp4 m4a m4v ogg oga ogv opus webm weba wav flac aac avi mov mkv mpg mpeg wmv 3gp m3u8 ts mpd vtt",
    "feed": "rss atom",
    OTHER: "jsonl xsl txt map wasm webmanifest ics vcf md sql",
}
# The last segment may have parameters: ``list.jsp;jsessionid=1``.
_PARAMETERS: Final = ";[^/]*$"
# Not on the list, but an ending, where ``/release-1.2`` and ``/v2.0-beta`` have none.
_UNLISTED: Final = r"\.[A-Za-z]{1,5}(?:;[^/]*)?$"
# Feeds that many programs write under these names.
_NAMED_FEED: Final = r"(?i)/(?:(?:feed|rss|atom|index)\.xml|feed\.json)(?:;[^/]*)?$"


def file_kind_case(rules: Sequence[FileKindRule], path: str = "path") -> str:
    """SQL for the kind of file a path names.

    The first rule with a matching pattern says it; otherwise the ending of the path's last segment, in capitals or
    not. A path without an ending is a page. An ending that nobody knows is ``other`` if it has one to five letters
    and nothing else, and is part of a page's name if not.

    Args:
        rules: In order; patterns as of ``section_case``.
        path: A column or expression: a path without its query.

    Raises:
        ConfigurationError: A range inside ``[...]`` descends.
    """
    branches = [f"WHEN {matches_any(rule.paths, path)} THEN {quoted(rule.kind)}" for rule in rules]
    known = ", ".join(f"{quoted(end)}: {quoted(kind)}" for kind, ends in ENDINGS.items() for end in ends.split())
    name = f"CASE WHEN contains({path}, ';') THEN regexp_replace({path}, '{_PARAMETERS}', '') ELSE {path} END"
    by_ending = f"""coalesce(MAP {{{known}}}[lower(split_part({name}, '.', -1))],
        CASE WHEN NOT regexp_matches({path}, '{_UNLISTED}') THEN 'page'
            WHEN regexp_matches({path}, '{_NAMED_FEED}') THEN 'feed' ELSE '{OTHER}' END)"""
    return f"CASE {' '.join(branches)} ELSE {by_ending} END" if branches else by_ending
