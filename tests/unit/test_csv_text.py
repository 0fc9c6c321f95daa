"""Tables in every way that spreadsheets write them, and in ways that nobody should: read, or refused in words."""

import csv
import io

import pytest

from socialconsole import csv_text
from socialconsole.csv_text import ENCODINGS, MOST_BYTES, Unreadable, Unsure, decode, line, safe, table, unsafe

KNOWN = ("text", "accounts", "when")
HEAD = "text,accounts,when\n"


def rows(text, most=10):
    return [cells for _, cells in table(text, KNOWN, most).rows]


# ---------------------------------------------------------------- letters


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_letters_that_tell_what_they_are_are_read(encoding):
    assert decode("Blåbär 字 👩\u200d👧".encode(encoding)).lstrip("\ufeff") == "Blåbär 字 👩\u200d👧"


def test_other_letters_are_never_guessed_in_silence():
    with pytest.raises(Unsure) as found:
        decode("text\nSmörgåsbord".encode("cp1252"))
    assert found.value.guess == "cp1252" and "cp1252" in str(found.value)
    assert "Smörgåsbord" in found.value.samples["cp1252"] and "Smörgåsbord" not in found.value.samples["cp1251"]
    assert "utf-8" not in found.value.samples
    assert decode("Smörgåsbord".encode("cp1252"), "cp1252") == "Smörgåsbord"


def test_two_bytes_for_each_letter_without_a_mark_are_recognised():
    for name in ("utf-16-le", "utf-16-be"):
        with pytest.raises(Unsure) as found:
            decode("text,accounts,when\nBlåbär,acme,queue".encode(name))
        assert found.value.guess == name
        assert decode("Blåbär".encode(name), name) == "Blåbär"


def test_what_was_chosen_and_does_not_fit_asks_once_more():
    with pytest.raises(Unsure, match="cannot be read as"):
        decode(b"\x81\x8d", "cp1252")
    with pytest.raises(Unsure, match="from the list"):
        decode(b"x", "rot13")


def test_a_mark_counts_more_than_what_was_chosen():
    assert decode("Blåbär".encode("utf-8-sig"), "cp1252") == "Blåbär"


@pytest.mark.parametrize(("plain", "words"), [
    (b"x" * (MOST_BYTES + 1), "larger than 1 MB"), (b"PK\x03\x04abc", "Excel"), (b"%PDF-1.7", "PDF"),
    (b"\xff\xfe\x00", "breaks off")])
def test_what_is_no_csv_is_refused(plain, words):
    with pytest.raises(Unreadable, match=words):
        decode(plain)


def test_every_encoding_on_the_list_exists():
    for name in ENCODINGS:
        assert "x".encode(name).decode(name) == "x"


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_found_by_the_headings(separator):
    text = HEAD.replace(",", separator) + separator.join(('"a, b; c"', "acme", "queue"))
    assert rows(text) == [{"text": "a, b; c", "accounts": "acme", "when": "queue"}]


def test_headings_may_be_written_in_any_way_and_order():
    assert rows('"When", ACCOUNTS,Text \nqueue,acme,Buns')[0] == {"when": "queue", "accounts": "acme", "text": "Buns"}


def test_texts_with_line_breaks_and_quotes_stay_whole_and_rows_are_counted_as_spreadsheets_do():
    text = HEAD + '"One\ntwo ""three""",acme,queue\r\n\r\n,,\nLast,acme,queue'
    found = table(text, KNOWN, 10).rows
    assert [number for number, _ in found] == [2, 5]
    assert found[0][1]["text"] == 'One\ntwo "three"'


def test_rows_may_be_short_and_have_empty_cells_at_their_end():
    assert rows(HEAD + "Buns\nRolls,acme,queue,,,")[0] == {"text": "Buns", "accounts": "", "when": ""}


@pytest.mark.parametrize(("text", "words"), [
    ("", "empty"), (HEAD, "no rows"), ("\n\n", "columns"), ("a,b\n1,2", "has to name the columns"),
    ("text,accounts,when,colour\nx", "no column “colour”"), ("text,text\nx", "there twice"),
    (HEAD + 'Buns,"acme,queue', "Row 2 cannot be read"), (HEAD + 'ok,a,b\n"a"b,c,d', "Row 3 cannot be read"),
    (HEAD + "Hi, you,acme,queue", "Row 2 has 4 cells"), (HEAD + "x\n" * 11, "more than 10 rows"),
    (HEAD + '"' + "x" * 200_000, "Row 2 has a cell that is longer")])
def test_a_table_that_cannot_be_understood_says_where(text, words):
    with pytest.raises(Unreadable, match=words):
        rows(text)


@pytest.mark.parametrize(("cell", "odd"), [
    ("Buns\r\n\tand rolls", False), ("a\0b", True), ("\x1b[31m", True), ("\u202eabc\u2069", False), ("\x7f", True),
    ("\ud800", True)])
def test_signs_that_are_no_text_are_found(cell, odd):
    assert bool(csv_text.odd_sign(cell)) is odd


# ---------------------------------------------------------------- formulas


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"https://a\")"])
def test_no_cell_becomes_a_formula_and_comes_back_as_it_was(cell):
    assert safe(cell) == "'" + cell and unsafe(safe(cell)) == cell


@pytest.mark.parametrize("cell", ["Buns", "'tis", "", "1-2", "a=b"])
def test_other_cells_stay_as_they_are(cell):
    assert safe(cell) == cell and unsafe(cell) == cell


def test_a_row_is_read_back_by_any_reader():
    cells = ["a,b", 'say "hi"', "two\nlines", "=1"]
    assert next(csv.reader(io.StringIO(line(cells), newline=""))) == ["a,b", 'say "hi"', "two\nlines", "'=1"]
