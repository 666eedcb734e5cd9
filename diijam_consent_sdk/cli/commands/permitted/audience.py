"""The customers a list names: ids one a line, or a column of a CSV file; each once, the malformed counted."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import attrs

from ....vocabulary import is_user_id
from ...input import Lines, is_cut
from .seen_ids import SeenIds

SHOWN_LINES = 3
FIRST_LINES = 1000  # of which none may be in another encoding; one far down costs its own row, not a long run
NumberedLines = Iterator[tuple[int, str]]
MARK = "\ufeff"
SEPARATORS = (",", ";", "\t", "|")  # Excel's depends on the country
SEPARATOR_LINE = re.compile(r'"?sep=([^\w"\s]|\t)"?\r?\n?')  # what Excel takes, and some programs write, above a header


@attrs.frozen
class Row:
    """One customer, and the row that named them: all its values, or the id alone."""

    user_id: str
    values: list[str]


@attrs.frozen
class CsvForm:
    """
    How a CSV file is written, for the result to be written so too.

    Attributes:
        separator: What is between two fields.

        preamble: What is above the header: a byte-order mark, without which Excel reads no Vietnamese, and a line that
            names the separator.
    """

    separator: str = SEPARATORS[0]
    preamble: str = ""


class Audience:
    """
    The rows of *stream*, read as they are iterated, once. The ids it has seen are remembered on disk.

    Attributes:
        header: The names of the columns; None where there are just ids.

        form: How the CSV is written.

        duplicates: How many rows named a customer again. They are left out.

        malformed: How many rows hold what can be no id. They are left out. `malformed_lines` are the first of them.

    Args:
        stream: The bytes of the list.

        column: The CSV column that holds the ids; None for plain ids.

    Raises:
        ValueError: there is no such column, or none is named and this looks like CSV; or it is no text in UTF-8.
            While iterating: the CSV is broken; the line is named. No error shows what the list holds.
    """

    def __init__(self, stream: BinaryIO, column: str | None) -> None:
        self.header: list[str] | None = None
        self.duplicates = self.malformed = 0
        self.malformed_lines: list[int] = []
        self.form = CsvForm()
        self._index = 0
        self._rows: Iterator[tuple[int, list[str]]]
        read = Lines(stream)
        if column is None:
            self._rows = _plain_rows(read)
            first = next(self._rows, None)
            if first is not None:
                _check_plain(first[1][0])
                self._rows = chain([first], self._rows)
        else:
            lines = enumerate(_csv_lines(read), start=1)
            first_lines, self.form = _form(lines, column, has_mark=read.has_mark)
            self._rows = _csv_rows(chain(first_lines, lines), self.form.separator)
            self.header = next(self._rows, (0, []))[1]
            self._index = _index(self.header, column, self.form.separator)

    def __iter__(self) -> Iterator[Row]:
        with SeenIds() as seen:
            for line, values in self._rows:
                user_id = values[self._index]
                if not is_user_id(user_id):
                    self.malformed += 1
                    if len(self.malformed_lines) < SHOWN_LINES:
                        self.malformed_lines.append(line)
                elif seen.add(user_id):
                    yield Row(user_id, values)
                else:
                    self.duplicates += 1


def _plain_rows(read: Lines) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read, start=1):
        text = _text(line).removesuffix("\n").removesuffix("\r")
        if number <= FIRST_LINES and not text.isprintable() and _is_other_encoding(text):
            raise ValueError(f"line {number} is not UTF-8 (Latin-1, or a code page of Windows?): save it as UTF-8 text")
        yield number, [text]


def _is_other_encoding(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _check_plain(first: str) -> None:
    """See that a list of ids does not begin as other lists do. The line may be a customer's: it is not shown."""
    if first[:1] in {"{", "["} and first[1:2] in {'"', "{"}:
        raise ValueError("this looks like JSON: give the ids one a line")
    if first[:1] == '"' or any(separator in first for separator in SEPARATORS[:3]) or SEPARATOR_LINE.fullmatch(first):
        raise ValueError("this looks like CSV: add --column with the name of the one that holds the ids")


def _form(lines: NumberedLines, column: str, *, has_mark: bool) -> tuple[list[tuple[int, str]], CsvForm]:
    """The first line or two, to be read again as far as they are rows, and how the CSV is written."""
    first = next(lines, None)
    if first is None:
        return [], CsvForm()
    above = SEPARATOR_LINE.fullmatch(first[1])
    if above is not None:
        return [], CsvForm(above[1], f"{MARK if has_mark else ''}sep={above[1]}\n")
    found = (separator for separator in SEPARATORS if column in _split(first[1], separator))
    return [first], CsvForm(next(found, SEPARATORS[0]), MARK if has_mark else "")


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _csv_rows(lines: NumberedLines, separator: str) -> Iterator[tuple[int, list[str]]]:
    """
    The header and the rows, all of one length, each with the line it begins on. Empty ones are skipped, which Excel
    leaves at the end, and the header wherever it stands again, as in files that were joined.
    """
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007 - read below
            yield line

    reader = csv.reader(texts(), strict=True, delimiter=separator)
    header: list[str] | None = None
    while True:
        line = number + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"the CSV row that begins on line {line} is broken: {error}: correct it") from None
        if values is None:
            return
        if not any(values) or values == header:
            continue
        header = header or values
        if len(values) != len(header):
            raise ValueError(
                f"the CSV row on line {line} has {len(values)} fields, the header {len(header)}: correct it"
            )
        yield line, values


def _csv_lines(read: Lines) -> Iterable[str]:
    for number, line in enumerate(read, start=1):
        if b"\0" in line:
            raise ValueError(f"line {number} holds a NUL byte: save the file as UTF-8 CSV")
        if is_cut(line):
            raise ValueError(f"line {number} is longer than 1 MiB: is this CSV?")
        yield _text(line)


def _text(line: bytes) -> str:
    # What is no UTF-8 leaves as it came; in an id it is malformed.
    return line.decode(errors="surrogateescape")


def _index(header: list[str], column: str, separator: str) -> int:
    """Where the column is. The header may be a customer's row, in a file that has none: it is not shown."""
    if not header:
        raise ValueError("the input is empty: a CSV begins with the names of its columns")
    match header.count(column):
        case 0:
            raise ValueError(
                f"there is no column {column!r} among the {len(header)} of the first line, separated by {separator!r}:"
                " a CSV begins with the names of its columns, spelled as there"
            )
        case 1:
            return header.index(column)
        case count:
            raise ValueError(f"{count} columns are called {column!r}: rename all but one")
