import re

import numpy as np
import pytest

from fastbp import tables


@pytest.fixture
def read(tmp_path):
    """read(text, target="t"): the table of a file with that text, or those bytes."""

    def call(text, target="t"):
        path = tmp_path / "it.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tables.read_csv(path, target)

    return call


# --- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_delimiter_line_end_and_mark_are_found_out(delimiter, newline, start, read):
    rows = [["a", '"b; of, 1"', "t"], ["1", '"x,y;z"', "0.5"], ["-2e1", " u ", "3"]]
    table = read(start + newline.join(map(delimiter.join, rows)))
    assert table.names == ["a", "b; of, 1=u", "b; of, 1=x,y;z"]
    np.testing.assert_array_equal(table.x, [[1, 0, 1], [-20, 1, 0]])
    assert table.x.dtype == np.float64
    np.testing.assert_array_equal(table.target, [0.5, 3])


def test_commas_within_fields_do_not_make_the_comma_the_delimiter(read):
    assert read("a;b;t\n1,m;x;0\n2,m;y;1\n").names == ["a=1,m", "a=2,m", "b=x", "b=y"]
    assert read("length, outside, m;t\n1;2\n").names == ["length, outside, m"]


@pytest.mark.parametrize("text", ["a;t\n1;0\n2,5;1\n-3,5;1\n", 't,a\n0,"1"\n1,"2,5"\n1,"-3,5"\n'])
def test_numbers_with_a_decimal_comma_are_numbers(text, read):
    np.testing.assert_array_equal(read(text).x, [[1], [2.5], [-3.5]])


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        ("5%|10%", [5, 10]),
        ("$3.50|$4", [3.5, 4]),
        ("4 €|5 €", [4, 5]),
        ("1,234,567|7", [1234567, 7]),
        ("1'234|5'678", [1234, 5678]),
        ("1 234|567", [1234, 567]),
        ("1\u202f234|5\u202f000", [1234, 5000]),
        ("\u22123|\u22124", [-3, -4]),
        ("(3)|(4)", [-3, -4]),
    ],
)
def test_dressed_numbers_are_numbers(cells, want, read):
    table = read("t,a\n" + "".join(f'{k},"{cell}"\n' for k, cell in enumerate(cells.split("|"))))
    np.testing.assert_array_equal(table.x[:, 0], want)


@pytest.mark.parametrize("cells", ["18-25|26-35", "<18|65+", "$|$$", "5%|few"])
def test_ranges_and_signs_stay_texts(read, cells):
    table = read("t,a\n" + "".join(f'{k},"{cell}"\n' for k, cell in enumerate(cells.split("|"))))
    assert sorted(table.names) == sorted(f"a={cell}" for cell in cells.split("|"))


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        ("3 -4 +5", np.array([3, -4, 5], np.int64)),
        ("3 4. 5", np.array([3.0, 4, 5])),
        ("3 1e2 5", np.array([3.0, 100, 5])),
        ("3 9223372036854775808 5", np.array([3, 2.0**63, 5])),  # as float64 holds it
        ("1 9007199254740993 9007199254740992", np.array(["1", str(2**53 + 1), str(2**53)], object)),
        ("True False True", np.array([1, 0, 1], np.int64)),
        ("1 a b", np.array(["1", "a", "b"], object)),
        ("1_0 2_0 3_0", np.array(["1_0", "2_0", "3_0"], object)),
    ],
)
def test_targets_are_integers_numbers_or_texts(cells, want, read):
    target = read("t,a\n" + "".join(f"{cell},1\n" for cell in cells.split())).target
    assert target.dtype == want.dtype
    np.testing.assert_array_equal(target, want)


def test_order_of_columns_is_kept_and_blank_lines_are_left_out(read):
    table = read("\nb,t,a\n\n1,2,3\n\n4,5,6\n\n")
    assert table.names == ["b", "a"]
    np.testing.assert_array_equal(table.x, [[1, 3], [4, 6]])
    assert re.fullmatch(r"column 't' of .*it\.csv", table.column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expects a header and rows; got an empty file."),
        (" \n\n", "expects a header and rows; got an empty file."),
        ("a,t\n", "expects rows below its header; got none."),
        ("t\n1\n", "expects a column beside the target 't'; got none."),
        ("a,b\n1,2\n", "expects the target to be one of its columns 'a', 'b'; got 't'."),
        ("a,t,b,a\n1,2,3,4\n", "expects different names of columns in line 1; got 'a' for columns 1 and 4."),
        ("a,,t\n0,1,2\n", "expects a name for every column in line 1; got none for column 2 of 3."),
        ("a,t\n1,2\n3\n", "expects 2 fields in line 3, as in line 1; got 1."),
        ("a,t\n1,2\n\n3,4,5\n", "expects 2 fields in line 4, as in line 1; got 3."),
        ('a,t\n"1\n2",2\n3\n', "expects 2 fields in line 4, as in line 1; got 1."),
        ("a,t\n1,2\n ,4\n", "expects a value in line 3, column 'a'; got none."),
        ("a,t\nx,2\n,4\n", "expects a value in line 3, column 'a'; got none."),
        ("a,t\n1,2\n3,\n", "expects a value in line 3, column 't'; got none."),
        ("a,t\n1,2\nNA,4\n5,6\n", "expects a value in line 3, column 'a'; got none."),
        ("a,t\n1,2\nnan,4\n", "expects a value in line 3, column 'a'; got none."),
        ("a,t\n1,2\n1,-inf\n", "expects a finite number in line 3, column 't'; got '-inf'."),
        ("a,t\n1,2\n1e999,3\n", "expects a finite number in line 3, column 'a'; got '1e999'."),
        (
            b"a,t\n1,2\n\x81,3\n",
            "expects text in UTF-8, UTF-16, Windows-1252 or GB 18030, or encoding= (--encoding) that "
            "names another; got byte 0x81 in line 3, which fits none of them.",
        ),
        (b"\xef\xbb\xbfa,t\n\xe9,3\n", "expects bytes of utf-8; got byte 0xe9 in line 2."),
        ('a,t\n1,2\n"3,4\n', "expects well-formed CSV; got in line 3: unexpected end of data."),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_place(text, message, read):
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value).partition("it.csv ")[2] == message


def test_a_field_beyond_limits_is_refused_in_one_sentence(read):
    with pytest.raises(ValueError, match=r"well-formed CSV; got in line 2: field larger"):
        read("a,t\n" + "x" * 200_000 + ",1\n")


@pytest.mark.parametrize(
    "text",
    [
        "a,t\n1,2\n3,4\nLONG,6\n",
        "a,t\n1,2\n3,LONG\n1,2\n",
        "LONG,LONG\n1,2\n",
        "LONG,b\n1,2\n",
        "LONG,t\n1,2\n,3\n",
        "LONG,t\n" + "".join(f"LONG{k},2\n" for k in range(51)),
    ],
)
def test_a_long_field_is_cut_in_the_sentence(text, read):
    with pytest.raises(ValueError) as caught:
        read(text.replace("LONG", "x" * 1000))
    assert "xxx" in str(caught.value) and len(str(caught.value)) < 500


def test_texts_have_a_limit(read):
    lines = [f"n{k},{k}\n" for k in range(tables.reading.MAX_CATEGORIES + 1)]
    assert len(read("".join(["a,t\n", *lines[:-1]])).names) == tables.reading.MAX_CATEGORIES
    with pytest.raises(ValueError, match=r"at most 50 .* 'a', .*; got 51, as 'n0' in line 2\."):
        read("".join(["a,t\n", *lines]))


def test_many_columns_are_not_all_listed(read):
    header = ",".join(f"c{k}" for k in range(99))
    with pytest.raises(ValueError, match=r"'c19', \.\.\. \(99 in all\); got 't'"):
        read(f"{header}\n{','.join('x' * 99)}\n")


def test_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        tables.read_csv(tmp_path / "none.csv", "t")
