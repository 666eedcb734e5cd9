"""What a list is that is no UTF-8 text, by its first bytes: to refuse it by name, before anybody is left out for it."""

from __future__ import annotations

import re

SAVE = "save it as UTF-8 text"
UNPACK = "unpack it first"
SAVE_CSV = "save the sheet as CSV UTF-8"
EXPORT = "export the ids as UTF-8 text"

# The longer marks first, where one begins with another.
KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "UTF-32", SAVE),
    (rb"\xff\xfe|\xfe\xff", "UTF-16", SAVE),
    (rb"\x1f\x8b", "a gzip file", UNPACK),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    (rb"BZh[1-9]1AY&SY", "a bzip2 file", UNPACK),
    (rb"\xfd7zXZ\0", "an xz file", UNPACK),
    (rb"\x04\x22\x4d\x18", "an LZ4 file", UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "an Excel file (.xlsx), or another ZIP archive", SAVE_CSV),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls), or another of Office", SAVE_CSV),
    (rb"%PDF-", "a PDF file", EXPORT),
    (rb"\{\\rtf", "an RTF file", SAVE),
    (rb"PAR[1E]\x15", "a Parquet file", EXPORT),
    (rb"ARROW1\0\0|FEA1\0|\xff\xff\xff\xff", "an Arrow file", EXPORT),
    (rb"Obj\x01", "an Avro file", EXPORT),
    (rb"SQLite format 3\0", "an SQLite database", EXPORT),
    (rb"(?i:\s{0,99}<(\?xml|!doctype|html|table))", "HTML or XML (some programs call that .xls)", SAVE_CSV),
    (rb"[^\n]{0,9999}\0", "UTF-16 or UTF-32 without its mark, or no text at all", SAVE),
)
_KINDS = [(re.compile(mark), name, advice) for mark, name, advice in KINDS]


def check_text(first_line: bytes) -> None:
    """
    See that a file whose first line this is can be a text.

    Raises:
        ValueError: it is something else, which the error names. It shows nothing of what is in there.
    """
    for mark, name, advice in _KINDS:
        if mark.match(first_line):
            raise ValueError(f"the input is {name}, not a text in UTF-8: {advice}")
