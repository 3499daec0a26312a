"""Files of tables as people have them: each is read rightly, or refused in one sentence."""

import gzip
import io
import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastbp import tables

NAN = math.nan


@pytest.fixture
def read(tmp_path):
    """read(text, **options): the Columns of a file with that text, or those bytes."""

    def call(text, **options):
        path = tmp_path / "it.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tables.read(path, **options)

    return call


def plain(columns):
    """Name, kind and values of each column, as Python writes them."""
    found = {}
    for name, kind, values, *_ in columns.columns:
        if kind == "date":
            values = np.datetime_as_string(values)
        assert len(values) == columns.n_rows
        found[name] = (kind, values.tolist())
    return found


def same(found, want):
    assert list(found) == list(want)
    for name, (kind, values) in want.items():
        assert found[name][0] == kind, name
        if kind in ("number", "boolean"):
            np.testing.assert_array_equal(found[name][1], values)
        else:
            assert found[name][1] == values


def number(*values):
    return "number", list(values)


def boolean(*values):
    return "boolean", list(values)


def text(*values):
    return "text", list(values)


def date(*values):
    return "date", [value if len(value) > 10 or value == "NaT" else f"{value}T00:00:00" for value in values]


# --- files that are read --------------------------------------------------------------------

AB = {"a": number(1, 3), "b": number(2, 4)}
GOOD = {
    # what stands between cells and rows
    "commas": ("a,b\n1,2\n3,4\n", AB),
    "semicolons": ("a;b\n1;2\n3;4\n", AB),
    "tabs": ("a\tb\n1\t2\n3\t4\n", AB),
    "bars": ("a|b\n1|2\n3|4\n", AB),
    "CRLF": ("a,b\r\n1,2\r\n3,4\r\n", AB),
    "lone CR": ("a,b\r1,2\r3,4\r", AB),
    "no end": ("a,b\n1,2\n3,4", AB),
    "mixed ends and blank lines": ("\n\r\na,b\r\n\n1,2\r  \n3,4\n\n", AB),
    "what Excel tells": ("sep=;\r\na;b\r\n1;2\r\n3;4\r\n", AB),
    "blanks around cells": (" a , b\n 1,\t2 \n3 ,   4\n", AB),
    "a delimiter at every end": ("a,b\n1,2,\n3,4,\n", AB),
    "a delimiter at every end and the header's": ("a,b,\n1,2,\n3,4,\n", AB),
    "quotes around all": ('"a","b"\n"1","2"\n"3","4"\n', AB),
    "a mark of UTF-8": ("\ufeffa,b\n1,2\n3,4\n", AB),
    "a mark and quotes": ('\ufeff"a";"b"\n1;2\n3;4\n', AB),
    "commas within semicolons": ("x, y;b\np, q;1\nr, s;2\n", {"x, y": text("p, q", "r, s"), "b": number(1, 2)}),
    "quoted delimiters and lines": (
        'a,b\n"x,1","p\nq"\n"y ""z""",r\n',
        {"a": text("x,1", 'y "z"'), "b": text("p\nq", "r")},
    ),
    "quotes within a cell": ('a,b\n5" pipe,1\n6" pipe,2\n', {"a": text('5" pipe', '6" pipe'), "b": number(1, 2)}),
    "one column": ("a\n1\n\n2\n", {"a": number(1, 2)}),
    "one column of pandas with a missing value": ('a\n1.0\n""\n2.0\n', {"a": number(1, NAN, 2)}),
    "quoted and empty": ('a,b\n"",1\n"x",2\n"y",3\n', {"a": text(None, "x", "y"), "b": number(1, 2, 3)}),
    "a mark of UTF-8 within": ("a,b\n\ufeff1,2\r\n\ufeff3,4\n", AB),
    # an index
    "an index": (",a,b\n0,1,2\n1,3,4\n", AB),
    "an index of names": (",a,b\nx,1,2\ny,3,4\n", AB),
    "an index saved thrice": ("Unnamed: 0.1,a,b\n0,1,2\n1,3,4\n", AB),
    "names of rows that count": ("a,b\n1,5,6\n2,7,8\n3,9,1\n", {"a": number(5, 7, 9), "b": number(6, 8, 1)}),
    "numbers as names beside an index": (
        ",1,2,3\nx,4,5,6\ny,7,8,9\n",
        {"1": number(4, 7), "2": number(5, 8), "3": number(6, 9)},
    ),
    "blanks between cells": (
        "  a    b c\n 1  2.5 x  \n10 3.5   y\n",
        {"a": number(1, 10), "b": number(2.5, 3.5), "c": text("x", "y")},
    ),
    "blanks as R writes them": ('"a" "b c"\n"p" 5 "x y"\n"q" 6 z\n', {"a": number(5, 6), "b c": text("x y", "z")}),
    "blanks within one column": ("name\nBob Smith\nJim Jones\n", {"name": text("Bob Smith", "Jim Jones")}),
    "thousands in one column": ("net price\n1 234\n2 345\n", {"net price": number(1234, 2345)}),
    "remarks above the names": ("# made by a, b, c\n# in 2020\na,b\n1,2\n3,4\n", AB),
    "names that begin as a remark": ("#a,b\n1,2\n3,4\n", {"#a": number(1, 3), "b": number(2, 4)}),
    "two marks of UTF-8": ("\ufeff\ufeffa,b\n1,2\n3,4\n", AB),
    "DOS's end": ("a,b\r\n1,2\r\n3,4\r\n\x1a", AB),
    "an index saved twice": ("Unnamed: 0,a,b\n0,1,2\n1,3,4\n", AB),
    "names of rows as R writes them": ('"a","b"\n"r1",1,2\n"r2",3,4\n', AB),
    "names of pandas' own": ("0,1,2\n5,6,7\n8,9,1\n", {"0": number(5, 8), "1": number(6, 9), "2": number(7, 1)}),
    "years as names": (
        "town,2019,2020\nx,1,2\ny,3,4\n",
        {"town": text("x", "y"), "2019": number(1, 3), "2020": number(2, 4)},
    ),
    # missing
    "missing marks": (
        "a,b\n1,x\n,NA\nNA,\nn/a,?\nNaN,null\nnull,None\n?,-\n-,N/A\n2,y\n",
        {"a": number(1, *[NAN] * 7, 2), "b": text("x", *[None] * 7, "y")},
    ),
    "missing as Excel, SQL and Stata write it": (
        "a,b\n1,x\n#DIV/0!,#N/A\n\\N,n.a.\n.,(null)\n\u2014,..\n1.#QNAN,#REF!\n" + "2,y\n" * 6,
        {"a": number(1, *[NAN] * 5, *[2] * 6), "b": text("x", *[None] * 5, *["y"] * 6)},
    ),
    "nothing in a column": ("a,b\n1,\n2,NA\n", {"a": number(1, 2), "b": number(NAN, NAN)}),
    # numbers
    "science": ("a,b\n1e3,-.5\n2E-2,+3.\n", {"a": number(1000, 0.02), "b": number(-0.5, 3)}),
    "many digits": (
        "a,b\n0.1000000000000000055,1\n123456789.12345678901234,2\n",
        {"a": number(0.1, 123456789.12345679), "b": number(1, 2)},
    ),
    "decimal commas": ("a;b\n1,5;2\n-0,25;4\n", {"a": number(1.5, -0.25), "b": number(2, 4)}),
    "decimal commas in quotes": ('a,b\n"1,5",2\n"2,25",4\n', {"a": number(1.5, 2.25), "b": number(2, 4)}),
    "decimal commas and tabs": ("a\tb\n1,5\t2\n3\t4\n", {"a": number(1.5, 3), "b": number(2, 4)}),
    "decimal commas and missing": ("a;b\n1,5;2\nNA;4\n;5\n", {"a": number(1.5, NAN, NAN), "b": number(2, 4, 5)}),
    "thousands": ('a,b\n"1,234.5",2\n"12,345,678",4\n7,5\n', {"a": number(1234.5, 12345678, 7), "b": number(2, 4, 5)}),
    "thousands in a file of commas": ('a,b\n"1,234",2\n"5,678",4\n', {"a": number(1234, 5678), "b": number(2, 4)}),
    "thousands of Germany": (
        "a;b\n1.234,5;2\n12.345.678,25;4\n",
        {"a": number(1234.5, 12345678.25), "b": number(2, 4)},
    ),
    "thousands of Germany by another column": (
        "a;b\n1.234;0,5\n5.678;1,25\n",
        {"a": number(1234, 5678), "b": number(0.5, 1.25)},
    ),
    "decimal commas by another column": (
        "a;b\n1,234;0,5\n5,678;1,25\n",
        {"a": number(1.234, 5.678), "b": number(0.5, 1.25)},
    ),
    "thousands by another column": ("a;b\n1,234;0.5\n5,678;1.25\n", {"a": number(1234, 5678), "b": number(0.5, 1.25)}),
    "points of decimals": ("a,b\n1.234,2\n5.678,4\n", {"a": number(1.234, 5.678), "b": number(2, 4)}),
    "thousands of France": ("a;b\n1 234,5;2\n12\u202f345\u00a0;4\n", {"a": number(1234.5, 12345), "b": number(2, 4)}),
    "thousands of Switzerland": ("a,b\n1'234.5,2\n12’345,4\n", {"a": number(1234.5, 12345), "b": number(2, 4)}),
    "decimal commas behind nothing": ('a,b\n"0,500",2\n"0,250",4\n', {"a": number(0.5, 0.25), "b": number(2, 4)}),
    "percent": ("a,b\n5%,1\n12.5 %,2\n-3%,3\n", {"a": number(5, 12.5, -3), "b": number(1, 2, 3)}),
    "amounts": (
        "a;b;c\n$1,234.50;1,5 €;-$3\n$0.99;-2 €;$4\n",
        {"a": number(1234.5, 0.99), "b": number(1.5, -2), "c": number(-3, 4)},
    ),
    "amounts of China": (
        "a;b;c\n￥1,234.50;8.5万;￥12 万\n￥0.99;-1.2亿;￥80.5万\n￥5;900;￥0.0万\n",
        {"a": number(1234.5, 0.99, 5), "b": number(85000, -1.2e8, 900), "c": number(120000, 805000, 0)},
    ),
    "amounts of yuan": ("a,b\n0.0万元,1\n0.5万元,2\n300元,3\n", {"a": number(0, 5000, 300), "b": number(1, 2, 3)}),
    "amounts without cents": (
        "a;b;c\n5,- €;5.–;7,-\n6,50 €;-6.25;8,5\n",
        {"a": number(5, 6.5), "b": number(5, -6.25), "c": number(7, 8.5)},
    ),
    "other currencies": ("a;b\nR$ 1.234,50;5 kr\nR$ -2,00;6,5 kr\n", {"a": number(1234.5, -2), "b": number(5, 6.5)}),
    "a short dash as a minus": ("a,b\n–3,1\n4,2\n", {"a": number(-3, 4), "b": number(1, 2)}),
    "an accountant's brackets": ('a,b\n"($1,234)",1\n$5,2\n', {"a": number(-1234, 5), "b": number(1, 2)}),
    "a minus of typography": ("a,b\n\u22123,1\n4,2\n", {"a": number(-3, 4), "b": number(1, 2)}),
    "integers beyond 2^53": (
        "a,b\n9007199254740993,1\n9007199254740992,2\n",
        {"a": text("9007199254740993", "9007199254740992"), "b": number(1, 2)},
    ),
    "integers beyond 2^53 that are exact": (
        "a,b\n9007199254740994,1\n18014398509481984,2\n",
        {"a": number(2.0**53 + 2, 2.0**54), "b": number(1, 2)},
    ),
    "codes with leading zeros": ("a,b\n00501,1.5\n90210,02.5\n", {"a": text("00501", "90210"), "b": number(1.5, 2.5)}),
    "amounts of 0, which has no leading zero": (
        "a;b;c\n0 €;0%;$0\n5 €;15%;$7\n",
        {"a": number(0, 5), "b": number(0, 15), "c": number(0, 7)},
    ),
    "many amounts of 0": ("a;b\n" + "0 €;0%\n1 €;2%\n" * 300, {"a": number(*[0, 1] * 300), "b": number(*[0, 2] * 300)}),
    "codes in wide figures": ("a,b\n００１,1\n１０２,2\n", {"a": text("００１", "１０２"), "b": number(1, 2)}),
    "codes with leading zeros and a sign": ("a,b\n007 €,1\n5 €,2\n", {"a": text("007 €", "5 €"), "b": number(1, 2)}),
    "lakhs and crores": ('a,b\n"12,34,567.5",1\n"1,00,000",2\n', {"a": number(1234567.5, 100000), "b": number(1, 2)}),
    "a minus behind": ("a,b\n12.5-,1\n3.25,2\n", {"a": number(-12.5, 3.25), "b": number(1, 2)}),
    "addresses of three figures each": (
        "a;b\n192.168.100.100;1,5\n100.100.100.200;2,5\n",
        {"a": text("192.168.100.100", "100.100.100.200"), "b": number(1.5, 2.5)},
    ),
    "figures of other scripts": ("a,b\n１２,1\n٣,2\n", {"a": number(12, 3), "b": number(1, 2)}),
    # booleans
    "true and false": ("a,b\ntrue,1\nFALSE,0\n,1\n", {"a": boolean(1, 0, NAN), "b": number(1, 0, 1)}),
    "yes and no": ("a,b\nyes,T\nNo,F\nNA,T\n", {"a": boolean(1, 0, NAN), "b": boolean(1, 0, 1)}),
    "ja and nein, y and n": ("a;b\nja;n\nnein;Y\n", {"a": boolean(1, 0), "b": boolean(0, 1)}),
    "true beside 1": ("a,b\nTRUE,1\n0,2\n1,3\n", {"a": boolean(1, 0, 1), "b": number(1, 2, 3)}),
    "true alone": ("a,b\nTrue,y\nTrue,y\n", {"a": boolean(1, 1), "b": text("y", "y")}),
    "more than two words": ("a,b\nyes,1\nno,2\nmaybe,3\n", {"a": text("yes", "no", "maybe"), "b": number(1, 2, 3)}),
    # dates
    "ISO dates": (
        "a,b\n2020-02-29,1\n1999-12-31,2\nNA,3\n",
        {"a": date("2020-02-29", "1999-12-31", "NaT"), "b": number(1, 2, 3)},
    ),
    "ISO times": (
        "a,b\n2020-02-29T13:14:15,1\n2020-02-29 13:14,2\n",
        {"a": date("2020-02-29T13:14:15", "2020-02-29T13:14:00"), "b": number(1, 2)},
    ),
    "ISO times and zones": (
        "a,b\n2020-01-01T00:00:00Z,1\n2020-01-01 02:00:00.5+02:00,2\n2019-12-31T19:00-0500,3\n",
        {"a": date("2020-01-01", "2020-01-01", "2020-01-01"), "b": number(1, 2, 3)},
    ),
    "ISO dates with slashes": (
        "a,b\n2020/2/9,1\n2020/12/31,2\n",
        {"a": date("2020-02-09", "2020-12-31"), "b": number(1, 2)},
    ),
    "months": ("a,b\n2020-02,1\n2020-12,2\n", {"a": date("2020-02-01", "2020-12-01"), "b": number(1, 2)}),
    "dates of Germany": (
        "a;b\n1.2.2020;1\n31.12.1999 23:59;2\n",
        {"a": date("2020-02-01", "1999-12-31T23:59:00"), "b": number(1, 2)},
    ),
    "dates of China": (
        "a,b,c\n2024年3月5日,2024年03月,2024年3月5日 10:30\n1999年12月31日,1999年12月,1999 年 12 月 31 号 23:59\n",
        {
            "a": date("2024-03-05", "1999-12-31"),
            "b": date("2024-03-01", "1999-12-01"),
            "c": date("2024-03-05T10:30:00", "1999-12-31T23:59:00"),
        },
    ),
    "day first": ("a,b\n03/04/2020,1\n13/04/2020,2\n", {"a": date("2020-04-03", "2020-04-13"), "b": number(1, 2)}),
    "month first": (
        "a,b\n03/04/2020,1\n04/13/2020 1:05 PM,2\n",
        {"a": date("2020-03-04", "2020-04-13T13:05:00"), "b": number(1, 2)},
    ),
    "years of two figures": (
        "a,b\n1/2/14,25/2/99\n2/13/99,1/3/00\n",
        {"a": date("2014-01-02", "1999-02-13"), "b": date("1999-02-25", "2000-03-01")},
    ),
    "day and month alike": (
        "a,b\n01/01/2020,1\n02/02/2020,2\n",
        {"a": date("2020-01-01", "2020-02-02"), "b": number(1, 2)},
    ),
    "names of months": (
        'a,b\nJan 1 2000,1\n"March 15, 2001",2\n3-Dec-2002,3\n',
        {"a": date("2000-01-01", "2001-03-15", "2002-12-03"), "b": number(1, 2, 3)},
    ),
    "other names of months": (
        'a,b\n05-Jan-20,Jan 2020\n"Mon, 06 Jan 2020 10:00:00 GMT",dec 1999\n',
        {"a": date("2020-01-05", "2020-01-06T10:00:00"), "b": date("2020-01-01", "1999-12-01")},
    ),
    "years of two figures in Germany": (
        "a;b\n02.01.20;1\n31.12.99;2\n",
        {"a": date("2020-01-02", "1999-12-31"), "b": number(1, 2)},
    ),
    "halves of a day": (
        "a,b\n1/13/2020 3:04:05 p.m.,1\n12/31/2020 12:00 AM,2\n",
        {"a": date("2020-01-13T15:04:05", "2020-12-31"), "b": number(1, 2)},
    ),
    "few dates among texts": (
        "a,b\n2020-01-01,1\nsoon,2\nlater,3\n",
        {"a": text("2020-01-01", "soon", "later"), "b": number(1, 2, 3)},
    ),
    # texts
    "numbers of parts": (
        "a,b\n1234-11,1\n1235-12,2\n1236-56,3\n",
        {"a": text("1234-11", "1235-12", "1236-56"), "b": number(1, 2, 3)},
    ),
    "ranges": ("a,b\n18-25,<5\n26-35,65+\n", {"a": text("18-25", "26-35"), "b": text("<5", "65+")}),
    "mostly texts": ("a,b\nx,1\n1,2\n2,3\ny,4\n", {"a": text("x", "1", "2", "y"), "b": number(1, 2, 3, 4)}),
    "Python's own numbers": ("a,b\n1_0,1\n2_0,2\n", {"a": text("1_0", "2_0"), "b": number(1, 2)}),
    "versions and addresses": (
        "a,b\n1.2.3,10.0.0.1\n1.2.4,10.0.0.2\n",
        {"a": text("1.2.3", "1.2.4"), "b": text("10.0.0.1", "10.0.0.2")},
    ),
}


ONCE = [
    "an index saved twice",
    "an index saved thrice",
    "names of rows as R writes them",
    "names of rows that count",
    "blanks as R writes them",
    "remarks above the names",
]


@pytest.mark.parametrize("kind", GOOD)
def test_files_as_people_have_them(kind, read):
    content, want = GOOD[kind]
    same(plain(read(content)), want)


@pytest.mark.parametrize("kind", GOOD)
def test_long_files_are_read_as_short_ones_are(kind, read):
    """Beyond some hundred rows by arrays, and with characters that no byte holds."""
    content, want = GOOD[kind]
    content = content.removeprefix("sep=;")
    ends = re.search(r"\r\n|\r|\n", content.lstrip()).group()
    first, _, rest = content.lstrip().partition(ends)
    rest = rest.removesuffix("\x1a")
    rest = rest if rest.endswith(("\n", "\r")) else rest + ends
    n = 1 if kind in ONCE else 300
    found = plain(read(first + ends + rest * n))
    same(found, {name: (kind, values * n) for name, (kind, values) in want.items()})


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("words", ["größe;ort\n1,5;Köln\n2,5;Zürich\n", "prénom;âge\nZoé;3\nFrançois;4\nRenée;5\n"])
def test_encodings_are_found_out(words, encoding, read):
    same(plain(read(words.encode(encoding))), plain(read(words)))
    if encoding not in ("utf-16", "utf-32"):
        same(plain(read(words.encode(encoding), encoding=encoding)), plain(read(words)))


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-16-le", "utf-8"])
def test_chinese_is_found_out(encoding, read):
    words = "城市,价格,类型\n北京,12.5,公寓\n上海,13.25,别墅\n广州,9,公寓\n"
    found = read(words.encode(encoding))
    want = {"城市": text("北京", "上海", "广州"), "价格": number(12.5, 13.25, 9), "类型": text("公寓", "别墅", "公寓")}
    same(plain(found), want)
    assert bool(found.notes) == (encoding != "utf-8")


@pytest.mark.parametrize(("encoding", "words"), [("cp1251", "Москва"), ("shift-jis", "ひらがな"), ("cp1253", "Αθήνα")])
def test_other_encodings_are_asked_for(encoding, words, read):
    content = f"a,b\n{words},1\n{words},2\n".encode(encoding)
    with pytest.raises(ValueError, match=r"or encoding= \(--encoding\) that names another; got byte 0x.. in line 2"):
        read(content)
    same(plain(read(content, encoding=encoding)), {"a": text(words, words), "b": number(1, 2)})


def test_what_was_found_out_is_said(read):
    assert read("a,b\n1,2\n").notes == ()
    said = " ".join(read(",id;x\n".replace(";", ",") + "0,7,1\n1,8,2\n").notes)
    assert "first column has no name" in said and "Column 'id': names each row" in said
    assert "Windows-1252" in read("a\nü\n".encode("latin-1")).notes[0]
    assert "UTF-16" in read("a\nü\n".encode("utf-16")).notes[0]
    said = " ".join(read("a;b;c\n5%;1.234,5;03/04/2020\n6%;7;13/04/2020\n").notes)
    assert "'a': in percent" in said and "'b': read with a decimal comma" in said
    assert "'b': read with separators of thousands" in said and "'c': dates with the day first" in said
    assert "'a': texts, though most" in read("a,b\n5 kg,1\n6 kg,2\n").notes[0]
    assert "Column 'a': 万 is read as 10^4." in read("a,b\n5万,1\n60000,2\n").notes
    assert "as pandas writes" in read("0,1,2\n3,4,5\n").notes[0]
    assert "decimal=','" in read("a;b\n1.234;2\n5.678;3\n").notes[0]


@pytest.mark.parametrize("n", [2, 400])
def test_names_that_are_repeated_are_left_out(n, read):
    """As files one behind another have them."""
    rows = "x,1\n" * n
    found = read(f"a,b\n{rows}a,b\na,2\n{rows}a,b\n")
    same(plain(found), {"a": text(*"x" * n, "a", *"x" * n), "b": number(*[1] * n, 2, *[1] * n)})
    assert found.notes[0] == f"Lines {n + 2}, {2 * n + 4}: the names of columns once more, left out."
    assert found.lines.tolist() == [*range(2, n + 2), *range(n + 3, 2 * n + 4)]


def test_codes_with_a_few_letters_are_texts(read):
    codes = [str(k + 1000) if k % 7 else f"A/{k}" for k in range(100)]
    found = read("ticket,b\n" + "".join(f"{code},1\n" for code in codes))
    assert found.columns[0].values.tolist() == codes and "as 'A/0' in line 2 is none" in found.notes[0]


def rows_of(*cells, name="a"):
    """A file of the cells beside numbers."""
    return f"{name},b\n" + "".join(f"{cell},{row / 4}\n" for row, cell in enumerate(cells))


@pytest.mark.parametrize("odd", ["136A", "136-A", "C12", "ab-12", "7/b"])
@pytest.mark.parametrize("n", [20, 400])
def test_one_code_makes_codes_of_whole_numbers(odd, n, read):
    cells = [*map(str, range(100, 100 + n)), odd]
    found = read(rows_of(*cells, name="id"))
    assert found.columns[0].values.tolist() == cells and found.columns[0].identifies
    assert found.notes[0] == f"Column 'id': texts, though most are numbers, as '{odd}' in line {n + 2} is none."


def test_a_word_that_recurs_is_a_category_beside_few_numbers(read):
    cells = ["1", "2", "3", "U"] * 5
    found = read(rows_of(*cells))
    assert found.columns[0].values.tolist() == cells and "'U' in line 5 is none" in found.notes[0]
    for others in (["U"], [str(k) for k in range(30)] + ["U"] * 3):
        with pytest.raises(ValueError, match=r"got 'U': .*texts= \(--text\) keeps all as texts"):
            read(rows_of(*["1", "2", "3"] * 10, *others))


@pytest.mark.parametrize("odd", ["1/2A", "1.2.3", "5k", "5 kg", "<5", "80+", "0x10", "x", "a-b"])
def test_a_number_that_is_written_badly_makes_no_codes(odd, read):
    with pytest.raises(ValueError, match=rf"in line 42, column 'a'; got '{re.escape(odd)}'"):
        read(rows_of(*range(40), f'"{odd}"'))


@pytest.mark.parametrize("odd", ["136A", "x12"])
def test_a_code_beside_measurements_is_refused(odd, read):
    with pytest.raises(ValueError, match=f"as in most other lines, in line 42, column 'a'; got '{odd}'"):
        read(rows_of(*(k / 3 for k in range(40)), odd))


@pytest.mark.parametrize("unit", ["cm", "m2"])
@pytest.mark.parametrize("decimal", [".5", ""])
def test_a_second_line_of_names_is_refused(unit, decimal, read):
    with pytest.raises(ValueError, match=rf"in line 2, column 'a'; got '{unit}': a second line of names, or one of"):
        read(rows_of(unit, *(f"{k}{decimal}" for k in range(20))))


def test_words_for_nothing_are_missing_among_numbers_and_dates_only(read):
    found = read(
        "a,b,c\n1.5,unknown,2020-01-01\nUnknown,x,tbd\nnil,(blank),nil\n2.5,unknown,2021-01-01\n3.5,y,0000-00-00\n"
    )
    same(
        plain(found),
        {
            "a": number(1.5, NAN, NAN, 2.5, 3.5),
            "b": text("unknown", "x", "(blank)", "unknown", "y"),
            "c": date("2020-01-01", "NaT", "NaT", "2021-01-01", "NaT"),
        },
    )
    assert "Column 'a': 'Unknown', 'nil' count as missing." in found.notes
    again = read("a\nunknown\n2.5\n", kinds_of={"a": "number"})
    same(plain(again), {"a": number(NAN, 2.5)})


def test_years_of_two_figures_are_told(read):
    assert "Column 'a': dates whose years of two figures are read as 1969 to 2068." in read(rows_of("31.12.68")).notes
    assert not any("two figures" in note for note in read(rows_of("31.12.1968")).notes)


SUMMED = "town,a,b\nx,1,0.5\ny,2,0.25\nz,4,8.25\n"


@pytest.mark.parametrize(
    "rows",
    ["Total,7,9\n", "TOTAL:,7,\n", ",Summe,9.0\n", "Total,,\n", "Total,7,9\nAverage,2.333,3\n", "Total,7,9\n,,\n"],
)
def test_a_last_row_of_totals_is_left_out_which_is_said(rows, read):
    found = read(SUMMED + rows)
    n = rows.count(",,\n") if "7,9" in rows else 0  # below it, a row of its own
    assert found.columns[0].values.tolist() == ["x", "y", "z", *[None] * n]
    assert found.lines[:3].tolist() == [2, 3, 4] and len(found.dropped) == rows.count("\n") - n
    assert found.dropped[-1].startswith("Line 5, with ") and found.dropped[-1].endswith("others and left out.")
    assert set(found.dropped) <= set(found.notes)


@pytest.mark.parametrize("n", [5, 400])
def test_a_word_for_totals_among_numbers_ends_them(n, read):
    found = read("id,a\n" + "".join(f"{k},{k % 3}\n" for k in range(n)) + "Total,99\n")
    assert found.columns[0].kind == "number" and found.n_rows == n and len(found.dropped) == 1


def test_a_company_of_that_name_stays(read):
    found = read(SUMMED + "Total,3,5\n")
    assert found.columns[0].values[-1] == "Total" and not found.dropped
    assert found.notes[0] == "Line 5, with 'Total' in column 1, is taken for a row of data."
    found = read("sex,n\n" + "Male,1\nFemale,2\nTotal,3\n" * 3)
    assert found.n_rows == 9 and found.notes == ()
    assert read("a,b\nx,1\nTotal,1\n").n_rows == 2


def test_gzip_is_unpacked(tmp_path):
    path = tmp_path / "it.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n"))
    same(plain(tables.read(path)), AB)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="expects sound gzip data; got"):
        tables.read(path)


def test_gzip_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.encodings, "_MOST_UNPACKED", 1000)
    path = tmp_path / "it.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000))
    with pytest.raises(ValueError, match="expects at most 1000 bytes in its gzip data; got more"):
        tables.read(path)


def test_options(read):
    same(plain(read("1,2\n3,4\n", header=False)), {"column1": number(1, 3), "column2": number(2, 4)})
    same(plain(read("1,5;2\n3,5;4\n", header=False)), {"column1": number(1.5, 3.5), "column2": number(2, 4)})
    same(plain(read("a:b\n1:2\n", delimiter=":")), {"a": number(1), "b": number(2)})
    same(plain(read("a;b\n1,234;1\n", decimal=",")), {"a": number(1.234), "b": number(1)})
    same(plain(read("a;b\n1,234;1\n", decimal=".")), {"a": number(1234), "b": number(1)})
    same(plain(read("a;b\n" + "1.234;1\n" * 300, decimal=",")), {"a": number(*[1234] * 300), "b": number(*[1] * 300)})
    same(plain(read("a,b,c\n1,x,2\n3,4,5\n6,7,8\n", ignore="b")), {"a": number(1, 3, 6), "c": number(2, 5, 8)})
    assert read("a,b\n1,2\n", ignore=["a"]).names == ["b"]
    same(plain(read("a,b\n1,U\n2,3\n", texts=["a"])), {"a": text("1", "2"), "b": text("U", "3")})
    same(plain(read("a,b\n1,U\n2,3\n2,4\n", texts="b")), {"a": number(1, 2, 2), "b": text("U", "3", "4")})
    with pytest.raises(ValueError, match="expects columns to be texts among its own, 'a', 'b'; got 'c'"):
        read("a,b\n1,2\n", texts="c")
    found = read("zip,b,c\n00501,1,0\n90210,2,1\n", kinds_of={"zip": "text", "c": "boolean"})
    same(plain(found), {"zip": text("00501", "90210"), "b": number(1, 2), "c": boolean(0, 1)})
    for content, decimal in (("a;b\n1,5;1\n2,5;2\n", "."), ("a;b\n1.5;1\n2.5;2\n", ",")):
        with pytest.raises(ValueError, match=r"a number, as in most other lines, in line 2, column 'a'; got '1.5'"):
            read(content, decimal=decimal)
    with pytest.raises(ValueError, match=r"a number, as expected of this column, in line 2, column 'a'; got 'x'"):
        read("a,b\nx,1\n", kinds_of={"a": "number"})
    with pytest.raises(ValueError, match=r"a boolean.* in line 3, column 'a'; got '2'"):
        read("a,b\n1,1\n2,1\n", kinds_of={"a": "boolean"})


def test_progress_is_told_all_rows(read):
    told = []
    read("a,b,c\n" + "1,2,x\n" * 1000, progress=told.append)
    assert sum(told) == 1000 and len(told) > 1


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        ("1,2,3", True),
        ("1,,3", True),
        ("1.0,,3.0", True),
        ("1.0,2.0,3.0", False),
        ("1,2.5,3", False),
        ("1e2,1,2", False),
        ("$1,$2,$3", True),
        ("NA,,?", False),
    ],
)
@pytest.mark.parametrize("times", [1, 200])
def test_whole_numbers(content, whole, times, read):
    table = read("a|b\n" + "".join(f"{cell}|x\n" for cell in content.split(",")) * times)
    assert table.columns[0].whole == whole


@pytest.mark.parametrize(
    ("header", "row", "found"),
    [
        ("id", "{}", True),
        ("PassengerId", "{}", True),
        ("customer_id", "c{}", True),
        ("x", "{}", True),  # the first of three, which counts
        ("x", "C-{:04d}", True),
        ("x", "123e4567-e89b-12d3-a456-4266141740{:02d}", True),
        ("x", "{:017d}1", True),
        ("x", "name {} of many", False),
        ("x", "{}.5", False),
        ("paid", "1{}", False),
        ("id", "1", False),
        ("x", "90071992547409{:02d}", False),
    ],
)
def test_ids_are_found(header, row, found, read):
    lines = [f"{row.format(k)},{k % 3},z{k % 2}\n" for k in range(12)]
    table = read("".join([f"{header},b,c\n", *lines]))
    assert [column.identifies for column in table.columns] == [found, False, False]
    assert any("names each row" in note for note in table.notes) == found


# --- files that are refused -----------------------------------------------------------------

DATA = "expects names of columns in line 1, or header=False (--no-header), which reads it as data; got"
BAD = {
    "": "expects a header and rows; got an empty file.",
    " \n\r\n": "expects a header and rows; got an empty file.",
    "a,b\n": "expects rows below its header; got none.",
    "a,b\n1,2\n3\n": "expects 2 fields in line 3, as in line 1; got 1.",
    "\na,b\n\n1,2,3\n": "expects 2 fields in line 4, as in line 2; got 3.",
    "a,b\n1,2,\n3,4\n": "expects 2 fields in line 2, as in line 1; got 3.",
    "a,b\n1,5,2\n3,5,4\n": "expects 2 fields in line 2, as in line 1; got 3.",
    "price\n1,5\n2,5\n": "expects 1 field in line 2, as in line 1; got 2: a title above the names of columns is to "
    "be deleted, and a cell with the delimiter quoted.",
    "My report\n\na,b\n1,2\n": "expects 1 field in line 3, as in line 1; got 2: a title above",
    "a,b\n1,2\n\0\0\0": "expects text; got a zero byte in line 3.",
    "a^b\n1^2\n": "expects a comma, semicolon, tab or bar between cells, or delimiter= (--delimiter) that names "
    "another; got none of them, and '^' in each line.",
    "red,small,x\nblue,large,y\nred,small,y\n": f"{DATA} 'red', which is a cell below, too.",
    "a;b\n1.5;1\n1,5;2\n": "expects a number, as in most other lines, in line 3, column 'a'; got '1,5'",
    "name,b\nM\xfcller,1\n".encode()
    + b"Sch\xe4fer,2\n": "expects text in one encoding, or encoding= (--encoding) that "
    "names it; got byte 0xe4 in line 3, which is no UTF-8, beside much that is.",
    '[{"a":1,"b":2},\n{"a":3,"b":4}]': "expects a table as text, gzip of it, or Parquet; got JSON.",
    '{"a":1,"b":2}\n{"a":3,"b":4}\n': "expects a table as text, gzip of it, or Parquet; got JSON.",
    '<?xml version="1.0"?>\n<rows/>\n': "expects a table as text, gzip of it, or Parquet; got XML.",
    "version https://git-lfs.github.com/spec/v1\noid x\n": "expects a table as text, gzip of it, or Parquet; got the",
    b"a.csv" + bytes(252) + b"ustar": "expects a table as text, gzip of it, or Parquet; got a tar archive",
    'a,b\n1,"2\n3,4\n': "expects well-formed CSV; got in line 2: unexpected end of data.",
    'a,b\n1,"2"x\n3,4\n': "expects well-formed CSV; got in line 2: ',' expected after '\"'.",
    "a,b\n1,2\0\n": "expects text; got a zero byte in line 2, column 2.",
    "a,a\n1,2\n": "expects different names of columns in line 1; got 'a' for columns 1 and 2.",
    "a,,c\n1,2,3\n": "expects a name for every column in line 1; got none for column 2 of 3.",
    "1,2\n3,4\n": f"{DATA} '1' above numbers.",
    "5.1,3.5,setosa\n4.9,3,setosa\n7,3.2,other\n": f"{DATA} '5.1' above numbers.",
    "1,Alice\n2,Bob\n": f"{DATA} '1' above numbers.",
    "Bob,1.5,3\nEve,2.5,4\n": f"{DATA} '1.5' above numbers.",
    "2020-01-01,x\n2020-01-02,y\n": f"{DATA} '2020-01-01' above dates.",
    '"a,b"\n"1,2"\n"3,4"\n': "expects quotes around cells; got them around each line, as 'a,b': where that is",
    "a,b\n5,1\n~6,2\n7,3\n": "expects a number, as in most other lines, in line 3, column 'a'; got '~6'",
    "Station,Berlin\nUnit,C\ncity,temp\nRome,5\nOslo,6\nBonn,7\n": "expects a number, as in most other lines, in "
    "line 2, col",
    ",x,y\n,u,v\n0,1,2\n1,3,4\n": "expects a number, as in most other lines, in line 2, column 'x'; got 'u': a",
    "a;b\n1,2\n3,4\n": "expects 2 fields in line 2, as in line 1; got 1.",
    "a,b\n1,2\n# note\n3,4\n": "expects 2 fields in line 3, as in line 1; got 1.",
    "1,NA,x\n3,4,x\n": f"{DATA} '1' above numbers.",
    "a,b\n1,2\nx,3\n4,5\n": "expects a number, as in most other lines, in line 3, column 'a'; got 'x': a missing value "
    "is written NA, texts= (--text) keeps all as texts, ignore= (--ignore) leaves them out.",
    "a,b\n1.5,2\n2.5,3\n1;5,4\n": "expects a number, as in most other lines, in line 4, column 'a'; got '1;5': ",
    'a,b\n1.5,2\n"1,5",3\n2.5,3\n': "expects a number, as in most other lines, in line 3, column 'a'; got '1,5': ",
    "a,b\n1,2\ninf,3\n": "expects a finite number in line 3, column 'a'; got 'inf'.",
    "a,b\n1,2\n-Infinity,3\n": "expects a finite number in line 3, column 'a'; got '-Infinity'.",
    "a,b\n1,2\n1e999,3\n": "expects a finite number in line 3, column 'a'; got '1e999'.",
    "a,b\n5%,2\n0.5,3\n": "expects percent, as in other lines, in line 3, column 'a'; got '0.5'.",
    "a,b\n2024年2月29日,2\n2024年2月30日,3\n": "expects a date, as in most other lines, in line 3, column 'a'; "
    "got '2024年2月30日'.",
    "a,b\n$5,2\n€5,3\n": "expects one unit, $ or €, in line 3, column 'a'; got '€5'.",
    "a;b\n1,234;x\n5,678;y\n": "expects numbers to read in one way only in line 2, column 'a'; got '1,234': decimal= "
    "(--decimal) names the mark of decimals.",
    "a,b\n1/2/2020,x\n3/4/2020,y\n": "expects dates that tell whether day or month comes first in line 2, column 'a'; "
    "got '1/2/2020': ISO's 2020-12-31 tells it, and ignore= (--ignore) leaves the column out.",
    "a,b\n13/2/2020,x\n3/14/2020,y\n": "expects dates that tell whether day or month comes first in line 2, column 'a'",
    "a,b\n2020-01-01,x\n2020-02-30,y\n2020-03-01,z\n": "expects a date, as in most other lines, in line 3, column 'a'; "
    "got '2020-02-30'",
    "a,b\n14/2/01,x\n13/3/02,y\n": "expects dates that tell whether day or month comes first in line 2, column",
    "a,b\n2020-13-01,x\n2020-14-01,y\n": "expects a date, as in most other lines, in line 2, column 'a'; got '2020-13",
    "a;b,c\nx;y,z\np;q,r\n": "expects one delimiter, or delimiter= (--delimiter) that names it; got ',' and ';', which",
    b"PK\x03\x04 and so on": "expects a table as text, gzip of it, or Parquet; got a zip archive or a workbook",
    b"\xef\xbb\xbfa\n\xff\n": "expects bytes of utf-8; got byte 0xff in line 2.",
}


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_what_is_none_or_could_be_two_is_refused_with_its_place(content, read):
    with pytest.raises(ValueError) as caught:
        read(content)
    assert str(caught.value).partition("it.csv ")[2].startswith(BAD[content])
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("bad", ["x", "inf", "1e999", "12,5", "--1", "1..2", "1-2", "+", "0x10"])
def test_one_bad_cell_in_a_long_file_is_found(bad, read):
    rows = [f"{k / 7},{k}" for k in range(1000)]
    rows[700] = f'"{bad}",5'
    with pytest.raises(ValueError, match=rf"number.* in line 702, column 'a'; got '{re.escape(bad)}'"):
        read("\n".join(["a,b", *rows]))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"encoding": "klingon"}, ValueError, "read expects encoding as the name of one, as 'utf-8'; got 'klingon'"),
        ({"encoding": "hex"}, ValueError, "read expects encoding as the name of one"),
        ({"encoding": 8}, ValueError, "read expects encoding as the name of one"),
        ({"encoding": "ascii"}, ValueError, "expects bytes of ascii; got byte 0xc3 in line 1"),
        ({"delimiter": ",,"}, ValueError, "read expects delimiter as one character"),
        ({"delimiter": "a"}, ValueError, "read expects delimiter as one character"),
        ({"delimiter": '"'}, ValueError, "read expects delimiter as one character"),
        ({"delimiter": "；"}, ValueError, "read expects delimiter as one character"),
        ({"decimal": "x"}, ValueError, r"read expects decimal as one of '\.', ','; got 'x'"),
        ({"decimal": ",", "delimiter": ","}, ValueError, "read expects decimal and delimiter to differ; got ',' for"),
        ({"header": "no"}, TypeError, "read expects header as True or False; got 'no'"),
        ({"ignore": 3}, TypeError, "read expects ignore as a sequence of names of columns; got 3"),
        ({"ignore": "c"}, ValueError, "expects columns to ignore among its own, 'ä', 'b'; got 'c'"),
        ({"ignore": ["ä", "b"]}, ValueError, "expects at least one column that is not left out; got 'ä', 'b'"),
        ({"progress": 3}, TypeError, "read expects progress as a function"),
        ({"kinds_of": {"b": "int"}}, ValueError, "read expects kinds_of as one of 'number', 'boolean'"),
        ({"kinds_of": "b"}, TypeError, "read expects kinds_of as a mapping"),
    ],
)
def test_options_that_are_none_are_refused(options, error, match, read):
    with pytest.raises(error, match=match):
        read("ä,b\n1,2\n", **options)


LONG = [
    "1" + " " * 100_000 + "x",
    "1," * 50_000 + "x",
    "9" * 100_000,
    "1." * 40_000,
    "-" * 100_000,
    "-" * 99_000 + "x1",
    "a-" * 50_000,
]


@pytest.mark.parametrize("cell", LONG, ids=range(len(LONG)))
def test_long_cells_take_no_more_time_than_they_are_long(cell, read):
    """No pattern tries all ways to split them."""
    table = read(f'a|b\n"{cell}"|1\nx|2\ny|3\n')
    assert table.columns[0].values[0] == cell


# --- round trips ----------------------------------------------------------------------------

WORDS = st.text("abcdefghÄöüß中文 ,;|\t\"'\n.-%€x", min_size=1, max_size=8).map(str.strip)
COLUMNS = {
    "number": st.floats(-1e300, 1e300, allow_nan=False) | st.floats(-100, 100),
    "small": st.integers(-1000, 1000),
    "missing": st.none() | st.floats(-1e6, 1e6),
    "boolean": st.booleans(),
    "date": st.datetimes().map(lambda each: each.replace(microsecond=0)),
    "text": WORDS.filter(lambda word: any(c in "abcdefghÄöüß中文" for c in word[:1]) and "inf" not in word),
}
OPTIONS = st.fixed_dictionaries(
    {
        "sep": st.sampled_from(",;\t|"),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        "quoting": st.sampled_from([0, 1, 2]),
        "index": st.booleans(),
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
        "na_rep": st.sampled_from(["", "NA", "nan", "?"]),
        "decimal": st.sampled_from(".,"),
    }
)


WRITTEN = [
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%dT%H:%M:%SZ", "%d.%m.%Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p", "%d-%b-%Y %H:%M:%S",
    "%a, %d %b %Y %H:%M:%S GMT", "%d.%m.%y %H:%M:%S",
]  # fmt: skip


def test_dates_of_all_forms_beside_each_other():
    rng = np.random.default_rng(0)
    times = np.datetime64("1970-01-01", "s") + rng.integers(0, 3 * 10**9, 2000)
    texts = [each.item().strftime(WRITTEN[k % len(WRITTEN)]) for k, each in enumerate(times)]
    values, order, short = tables.dates.dates([*texts, "\u0661.2.2020", "1\u00a0Mai 2020", "x" * 90])
    np.testing.assert_array_equal(values[:-3], times)
    assert (order, short) == (None, True) and values[-3:].astype(str).tolist() == ["2020-02-01T00:00:00", "NaT", "NaT"]
    zones = ["2020-01-01 00:30:00+02", "2020-01-01 00:30:00-0530", "2020-01-01 00:30:00 +01:15", "2020-01-01T00:30Z"]
    shifted = [tables.dates.dates([*zones, "x"])[0][k] - np.datetime64("2020-01-01T00:30", "s") for k in range(4)]
    assert [int(each.astype(int)) for each in shifted] == [-7200, 19800, -4500, 0]


FORMS = [
    "{:.2f}", "{:,.2f}", "${:,.2f}", "{:,.0f} €", "-${:,.2f}", "(${:,.2f})", "{:.1f}%", "{:,.2f}-", "{:,.3f}",
    "{:.0f},- €", "{:e}", "{:08.1f}", "{:,} kr", "{:.0f}", "NA", "", "-", "{:,.2f} ₽", "\u2212{:,.1f}", "{:.0f}A",
    "{:.20f}",
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(FORMS), min_size=1, max_size=3), st.sampled_from(" .,"), st.integers(0, 2**32 - 1))
def test_dressed_numbers_are_the_same_by_arrays_and_one_by_one(tmp_path, forms, german, seed):
    rng = np.random.default_rng(seed)
    values = np.round(10 ** rng.uniform(-2, 7, 300), rng.integers(4)) * (rng.random(300) > 0.02)
    cells = [forms[k % len(forms)].format(value) for k, value in enumerate(values.tolist())]
    if german != ".":
        cells = [cell.translate({ord(","): german, ord("."): ","}) for cell in cells]
    path = tmp_path / "it.csv"
    path.write_text("a|b\n" + "".join(f'"{cell}"|{k / 8}\n' for k, cell in enumerate(cells)), encoding="utf-8")

    def outcome():
        try:
            found = tables.read(path)
        except ValueError as error:
            return str(error)
        return repr(plain(found)), found.notes, found.columns[0].whole

    by_arrays = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables.reading, "_MANY", 10**9)
        assert outcome() == by_arrays


def test_dressed_numbers_are_read_by_arrays(read, monkeypatch):
    """And quickly, therefore."""
    monkeypatch.setattr(tables.kinds, "_Texts", None)
    cells = [f"${value / 7:,.2f}" for value in range(0, 10**7, 10**5)] * 5
    found = read("a;b\n" + "".join(f"{cell}; (€1,234.5)\n" for cell in cells))
    np.testing.assert_array_equal(found.columns[0].values, [float(cell[1:].replace(",", "")) for cell in cells])
    assert set(found.columns[1].values) == {-1234.5} and "'a': amounts of $." in found.notes[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_pandas_writes_is_read_as_it_was(tmp_path, data):
    pd = pytest.importorskip("pandas")
    options = data.draw(OPTIONS)
    n = data.draw(st.sampled_from([2, 3, 5, 300]))
    kinds = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=2, max_size=5))
    frame = {}
    for place, kind in enumerate(kinds):
        some = data.draw(st.lists(COLUMNS[kind], min_size=min(n, 5), max_size=min(n, 5)))
        frame[f"{kind} {place}"] = (some * n)[:n]
    want = pd.DataFrame(frame)
    path = tmp_path / "it.csv"
    want.to_csv(path, **options)
    names = {"decimal": options["decimal"], "delimiter": options["sep"]} if options["decimal"] != options["sep"] else {}
    found = tables.read(path, **names) if names else tables.read(path)
    assert found.names == list(want.columns)
    for column in found.columns:
        values, kind = frame[column.name], column.name.split()[0]
        if kind in ("number", "small", "missing", "boolean"):
            assert column.kind == "boolean" if kind == "boolean" else column.kind == "number", column
            np.testing.assert_array_equal(column.values, np.array(values, float))
        elif kind == "date":
            assert column.kind == "date"
            np.testing.assert_array_equal(column.values, np.array(values, "datetime64[s]"))
        elif column.kind == "text":
            assert [each.strip() for each in values] == column.values.tolist()
        else:  # all of them words of true and false
            assert {each.lower() for each in values} <= {"f", "t", "true", "false"}


# --- tables of other libraries --------------------------------------------------------------

MIXED = {
    "number": [1.5, -2.0, None],
    "whole": [1, 2, None],
    "boolean": [True, False, None],
    "words": ["yes", "no", "yes"],
    "text": ["red", None, "blue"],
    "amount": ["1.5 €", "2 €", ""],
    "date": [np.datetime64("2020-01-31"), np.datetime64("2021-02-28"), None],
}
WANT = {
    "number": number(1.5, -2, NAN),
    "whole": number(1, 2, NAN),
    "boolean": boolean(1, 0, NAN),
    "words": boolean(1, 0, 1),
    "text": text("red", None, "blue"),
    "amount": number(1.5, 2, NAN),
    "date": date("2020-01-31", "2021-02-28", "NaT"),
}


def frame(library):
    if library == "dict":
        return MIXED
    if library == "list of dicts":
        return [dict(zip(MIXED, row, strict=True)) for row in zip(*MIXED.values(), strict=True)]
    if library == "rows":
        return [list(row) for row in zip(*MIXED.values(), strict=True)]
    if library == "polars":
        polars = pytest.importorskip("polars")
        return polars.DataFrame({**MIXED, "date": [each and each.item() for each in MIXED["date"]]})
    pd = pytest.importorskip("pandas")
    plain = pd.DataFrame({**MIXED, "date": pd.to_datetime(MIXED["date"])})
    if library == "objects":
        return plain.astype(object)
    if library == "nullable":
        return plain.convert_dtypes()
    if library == "zones":
        return plain.assign(date=plain["date"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    if library == "categories":
        return plain.astype({"text": "category", "whole": "category", "words": "category"})
    if library == "pandas":
        return plain
    pyarrow = pytest.importorskip("pyarrow")
    if library == "pandas of Arrow":
        return plain.convert_dtypes(dtype_backend="pyarrow")
    return pyarrow.Table.from_pandas(plain)


LIBRARIES = [
    "dict",
    "list of dicts",
    "rows",
    "pandas",
    "objects",
    "nullable",
    "zones",
    "categories",
    "pandas of Arrow",
    "polars",
    "arrow",
]


@pytest.mark.parametrize("library", LIBRARIES)
def test_tables_of_other_libraries(library):
    data = frame(library)
    found = tables.columns_of(data, names=list(MIXED) if library == "rows" else None)
    same(plain(found), WANT)
    assert [column.whole for column in found.columns] == [False, True, False, False, False, False, False]


@pytest.mark.parametrize("writer", ["pandas", "polars"])
def test_parquet(writer, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "it.parquet"
    if writer == "pandas":
        frame("pandas").set_axis(["x", "y", "z"]).to_parquet(path)
    else:
        frame("polars").write_parquet(path)
    told = []
    found = tables.read(path, progress=told.append)
    same(plain(found), WANT)
    assert sum(told) == 3 and any("index of pandas" in note for note in found.notes) == (writer == "pandas")
    assert tables.read(path, ignore="date").names == list(MIXED)[:-1]
    with pytest.raises(ValueError, match="columns to ignore among its own"):
        tables.read(path, ignore="z")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"it.parquet expects sound Parquet data; got .*\.$"):
        tables.read(path)


def test_arrays():
    found = tables.columns_of(np.array([[1.5, 2], [3, np.nan]]), names=["p", "q"])
    same(plain(found), {"p": number(1.5, 3), "q": number(2, NAN)})
    found = tables.columns_of(np.array([(1, "x", True), (2, "y", False)], [("a", "i4"), ("b", "U2"), ("c", "?")]))
    same(plain(found), {"a": number(1, 2), "b": text("x", "y"), "c": boolean(1, 0)})
    assert tables.columns_of(np.eye(2)).names == ["column1", "column2"]
    big = tables.columns_of({"a": np.array([2**53, 2**53 + 1]), "b": [1, 2]})
    same(plain(big), {"a": text(str(2**53), str(2**53 + 1)), "b": number(1, 2)})
    same(plain(tables.columns_of({"a": [1, 0]}, kinds_of={"a": "boolean"})), {"a": boolean(1, 0)})
    same(plain(tables.columns_of({"a": [1, 20]}, kinds_of={"a": "text"})), {"a": text("1", "20")})


def test_an_opened_file_is_read(tmp_path):
    same(plain(tables.read(io.BytesIO(b"a,b\n1,2\n3,4\n"))), AB)
    (tmp_path / "it.csv").write_text("a,b\n1,2\n3,4\n")
    with open(tmp_path / "it.csv", "rb") as file:
        found = tables.columns_of(file)
        assert found.source == str(tmp_path / "it.csv")
    same(plain(found), AB)
    with open(tmp_path / "it.csv") as file, pytest.raises(TypeError, match="expects a file opened for bytes; got <_io"):
        tables.read(file)
    with pytest.raises(ValueError, match=r"^a file expects rows below its header; got none"):
        tables.read(io.BytesIO(b"a,b\n"))


def test_a_path_is_read(tmp_path):
    (tmp_path / "it.csv").write_text("a,b\n1,2\n3,4\n")
    same(plain(tables.columns_of(tmp_path / "it.csv")), AB)
    assert tables.columns_of(str(tmp_path / "it.csv"), names=["x", "y"]).names == ["x", "y"]


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (None, TypeError, "columns_of expects data as the path of a file, .*; got None"),
        (np.arange(3), TypeError, "columns_of expects data as the path"),
        ([[1, 2], [3]], ValueError, "rectangular array"),
        ({"a": [1, 2], "b": [1]}, ValueError, "same length; got 1 in 'b' and 2 in 'a'"),
        ({"a": []}, ValueError, "columns_of expects rows and columns; got 1 column without"),
        ({}, ValueError, "columns_of expects rows and columns; got 0 columns without"),
        ({"a": "xyz"}, TypeError, "column 'a' as a sequence of values; got 'xyz'"),
        ({"a": [1, np.inf]}, ValueError, "a finite number in row 1, column 'a'; got inf"),
        ({"a": [1, 10**400]}, ValueError, "a finite number in row 1, column 'a'; got inf"),
        ({"a": [1, "x", 2]}, ValueError, "a number, as in most other rows, in row 1, column 'a'; got 'x'"),
        ({"a": [[1], [2]]}, TypeError, "column 'a' of numbers, .*; got an object of type list in row 0"),
        ({"a": np.array([1j])}, TypeError, "column 'a' of numbers, .*; got dtype complex128"),
        ({"a": np.array([1], "m8[s]")}, TypeError, r"column 'a' of numbers, .*; got dtype timedelta64\[s\]"),
        ({"a": np.ones((2, 2))}, ValueError, r"column 'a' of one dimension; got an array of shape \(2, 2\)"),
        ({"a": np.ma.array([1, 2], mask=[0, 1])}, ValueError, "column 'a' without masked elements"),
        ({"a": [1], 1: [1], "1": [2]}, ValueError, "different names of columns, not empty; got '1'"),
    ],
)
def test_what_is_no_table_is_refused(data, error, match):
    with pytest.raises(error, match=match):
        tables.columns_of(data)


def test_names_have_to_fit():
    with pytest.raises(ValueError, match="columns_of expects 2 names; got 1"):
        tables.columns_of(np.eye(2), names=["a"])
    with pytest.raises(ValueError, match="different names of columns, not empty; got 'a'"):
        tables.columns_of(np.eye(2), names=["a", "a"])


def test_what_is_handed_in_stays_as_it_was():
    pd = pytest.importorskip("pandas")
    data = frame("pandas")
    before = data.copy(deep=True)
    found = tables.columns_of(data)
    for column in found.columns:
        column.values[:] = column.values[::-1].copy()
    pd.testing.assert_frame_equal(data, before)
    array = np.ones((3, 2))
    tables.columns_of(array).columns[0].values[:] = 5
    assert (array == 1).all()


def test_pandas_is_not_imported_for_what_is_none_of_its(run_python):
    code = """
import sys, numpy as np
from fastbp import tables
tables.columns_of({"a": [1, None], "b": ["x", "y"]}); tables.columns_of(np.eye(3))
print([name for name in ("pandas", "polars", "pyarrow") if name in sys.modules])
"""
    assert run_python("-c", code).stdout.strip() == "[]"


def test_a_file_of_pandas_and_its_frame_are_the_same(tmp_path):
    pd = pytest.importorskip("pandas")
    data = frame("pandas")
    data.to_csv(tmp_path / "it.csv")
    same(plain(tables.read(tmp_path / "it.csv")), plain(tables.columns_of(data)))
    again = pd.read_csv(io.BytesIO((tmp_path / "it.csv").read_bytes()), index_col=0)
    same(plain(tables.columns_of(again)), plain(tables.columns_of(data)))
