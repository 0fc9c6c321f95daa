"""Tables as spreadsheets write them: bytes to rows, and cells that no spreadsheet takes for a formula.

Which letters a file is written in is never guessed in silence: what is not UTF-8, or says otherwise by its first bytes,
is for the person to say.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MOST_BYTES = 1024 * 1024
SEPARATORS = (",", ";", "\t")
# The letters that a person may name, the likeliest first.
ENCODINGS = {
    "utf-8": "UTF-8", "cp1252": "Windows, Western Europe (cp1252)", "cp1250": "Windows, Central Europe (cp1250)",
    "cp1251": "Windows, Cyrillic (cp1251)", "cp1253": "Windows, Greek (cp1253)", "cp1254": "Windows, Turkish (cp1254)",
    "mac-roman": "Mac, Western Europe (Mac Roman)", "utf-16-le": "UTF-16 without a mark, little end first",
    "utf-16-be": "UTF-16 without a mark, big end first", "cp932": "Windows, Japanese (cp932)",
    "gb18030": "Chinese (GB 18030)"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_OTHER_FILES = ((b"PK\x03\x04", "an Excel workbook or another packed file"),
                (b"\xd0\xcf\x11\xe0", "an old Excel workbook"), (b"%PDF", "a PDF"), (b"{\\rtf", "an RTF document"))
_FORMULA = re.compile(r"[=+\-@\t\r]")
_SAMPLE = 60


class Unreadable(Exception):
    """Not a table that can be read; the message says why and what to do."""


class Unsure(Exception):
    """A file does not say which letters it has. `guess`: what it seems to be; `samples`: encoding -> how it reads."""

    def __init__(self, message: str, guess: str, samples: dict[str, str]) -> None:
        super().__init__(message)
        self.guess, self.samples = guess, samples


@dataclass(frozen=True)
class Table:
    """The rows of a file below its headings, each with its number as spreadsheets count; cells by heading."""

    headings: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


# ---------------------------------------------------------------- letters


def decode(plain: bytes, encoding: str = "") -> str:
    """The text of a file. `encoding`: what the person said, a key of ENCODINGS. Raises Unreadable and Unsure."""
    if len(plain) > MOST_BYTES:
        raise Unreadable(f"The file is larger than {MOST_BYTES // 1024**2} MB. Split it into several.")
    for start, what in _OTHER_FILES:
        if plain.startswith(start):
            raise Unreadable(f"This is {what}, not a CSV file. Save the table as “CSV UTF-8” and choose that file.")
    for mark, name in _MARKS:
        if plain.startswith(mark):
            encoding = name
            break
    if encoding:
        return _decoded(plain, encoding)
    try:
        text = plain.decode("utf-8")
    except UnicodeDecodeError:
        raise _unsure(plain, "The letters of this file are not UTF-8.") from None
    if "\0" in text:
        raise _unsure(plain, "The letters of this file take two bytes each, and it does not say in which order.")
    return text


def _decoded(plain: bytes, encoding: str) -> str:
    if encoding not in ENCODINGS and encoding not in {name for _, name in _MARKS}:
        raise _unsure(plain, "Choose one of the kinds of letters from the list.")
    try:
        return plain.decode(encoding)
    except UnicodeDecodeError:
        if encoding in ENCODINGS:
            raise _unsure(plain, f"This file cannot be read as {ENCODINGS[encoding]}. Choose another one.") from None
        raise Unreadable("The file begins as UTF-16 or UTF-8 and breaks off in the middle of a letter. Save it once "
                         "more.") from None


def _unsure(plain: bytes, why: str) -> Unsure:
    wide = plain[:2000].count(0) * 3 > min(len(plain), 2000)  # letters of two bytes, most of which begin or end with 0
    samples = {}
    for name in ENCODINGS:
        if name.startswith("utf-16") != wide and name != "utf-8":
            continue
        try:
            samples[name] = _telling(plain.decode(name))
        except UnicodeDecodeError:
            continue
    guess = "cp1252"
    if wide:
        guess = "utf-16-le" if plain[1:2000:2].count(0) > plain[:2000:2].count(0) else "utf-16-be"
    if guess not in samples:
        guess = next(iter(samples), "")
    seems = f" It seems to be {ENCODINGS[guess]}." if guess else ""
    return Unsure(f"{why}{seems} Look at the samples and choose the one that reads well.", guess, samples)


def _telling(text: str) -> str:
    """A piece of a text around its first letter beyond plain ones, which is what tells encodings apart."""
    place = next((number for number, letter in enumerate(text) if ord(letter) > 127), 0)
    piece = text[max(0, place - _SAMPLE, text.rfind("\n", 0, place) + 1) : place + _SAMPLE]
    return "".join(letter if letter.isprintable() else " " for letter in piece).strip()


# ---------------------------------------------------------------- rows


def table(text: str, known: Sequence[str], most_rows: int) -> Table:
    """The rows of a table with headings; empty rows are passed over. Raises Unreadable.

    `known`: the headings that may stand there, which tell the separator. The first row is number 1.
    """
    separator = _separator(text, known)
    rows = _read(text, separator)
    first = next(rows, None)
    if first is None:
        raise Unreadable("The file is empty. Start from the template.")
    headings = tuple(_heading(one) for one in first)
    _refuse_headings(headings, known)
    found: list[tuple[int, dict[str, str]]] = []
    for number, cells in enumerate(rows, 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(found) == most_rows:
            raise Unreadable(f"The file has more than {most_rows} rows. Split it into several.")
        if len(cells) > len(headings) and any(cell.strip() for cell in cells[len(headings) :]):
            raise Unreadable(f"Row {number} has {len(cells)} cells, the headings are {len(headings)}. A text that "
                             "contains the separator has to stand in quotation marks.")
        found.append((number, dict(zip(headings, [*cells, *[""] * len(headings)], strict=False))))
    if not found:
        raise Unreadable("The file has headings and no rows below them.")
    return Table(headings, tuple(found))


def _heading(cell: str) -> str:
    return "_".join(cell.strip().lower().split())


def _separator(text: str, known: Sequence[str]) -> str:
    """The separator with which most of the known headings are found in the first row."""
    line = text.lstrip("\r\n").split("\n", 1)[0]
    return max(SEPARATORS, key=lambda one: sum(_heading(cell.strip('"')) in known for cell in line.split(one)))


def _read(text: str, separator: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as wrong:
            if "limit" in str(wrong):
                raise Unreadable(f"Row {number + 1} has a cell that is longer than any post. If it should not be, a "
                                 "quotation mark is not closed.") from None
            raise Unreadable(f"Row {number + 1} cannot be read: a quotation mark is not closed, or the text goes on "
                             "after it. Inside a text, write two of them.") from None
        number += 1
        yield cells


def _refuse_headings(headings: Sequence[str], known: Sequence[str]) -> None:
    names = ", ".join(known)
    if not set(headings) & set(known):
        raise Unreadable(f"The first row has to name the columns: {names}. Start from the template.")
    strange = [one for one in headings if one and one not in known]
    if strange:
        raise Unreadable(f"There is no column “{strange[0][:40]}”. The columns are: {names}.")
    twice = next((one for one in headings if one and headings.count(one) > 1), "")
    if twice:
        raise Unreadable(f"The column “{twice}” is there twice.")


def odd_sign(cell: str) -> str:
    """What no text of people contains, in words; empty where there is nothing of the kind."""
    for letter in cell:
        if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\r\t":
            return f"a sign that is no text (number {ord(letter)})"
    return ""


# ---------------------------------------------------------------- writing


def safe(cell: str) -> str:
    """A cell that a spreadsheet shows and never computes: what begins like a formula gets a ' in front."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unsafe(cell: str) -> str:
    """A cell as it was before `safe`, for a table that comes back."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def line(cells: Iterable[str]) -> str:
    """One row as spreadsheets read it; no cell is a formula."""
    out = io.StringIO()
    csv.writer(out).writerow([safe(cell) for cell in cells])
    return out.getvalue()
