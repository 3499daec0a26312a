"""Tables as numbers: what each kind of column becomes, what new tables may be, and the text that is saved."""

import json
import zlib

import numpy as np
import pytest

from fastbp.tables import Column, Columns, Preprocessor, splitting, targets

YEAR = 365.2425 * 86400


def table(**columns):
    """Columns of lists: texts where the first value is one, dates where NumPy has such."""
    return Columns(tuple(column(name, values) for name, values in columns.items()), "it.csv")


def column(name, values):
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return Column(name, "date", values.astype("M8[s]"))
    there = [value for value in values if value is not None]
    if isinstance(there[0], str):
        return Column(name, "text", np.array([*values, None], object)[:-1])
    kind = "boolean" if isinstance(there[0], bool) else "number"
    numbers = np.array([np.nan if value is None else value for value in values], float)
    whole = kind == "number" and all(float(value).is_integer() for value in there)
    return Column(name, kind, numbers, whole)


def named(preprocessor, x):
    return dict(zip(preprocessor.get_feature_names_out(), x.T.tolist(), strict=True))


# --- columns --------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_numbers_of_any_magnitude_are_standardised(unit, rng):
    values = rng.uniform(-9, 9, 40)
    x = Preprocessor().fit_transform(table(a=(values * unit).tolist()))
    np.testing.assert_allclose(x[:, 0], (values - values.mean()) / values.std(), rtol=1e-6, atol=1e-6)


def test_numbers_at_both_ends_of_float64_are_standardised():
    x = Preprocessor().fit_transform(table(a=[-1.7e308, 1.7e308, 1.0, 2.0]))
    np.testing.assert_allclose(x[:, 0], [-(2**0.5), 2**0.5, 0, 0], atol=1e-12)


def test_missing_numbers_are_the_median_beside_a_column_that_says_so():
    fitted = Preprocessor().fit(table(a=[1.0, None, 3.0, 8.0], b=[1.0, 2.0, 3.0, 4.0]))
    got = named(fitted, fitted.transform(table(b=[None, 4.0], a=[None, 3.0])))
    assert got["a"][0] == got["a"][1] and got["a missing"] == [1, 0]
    assert list(got) == ["a", "a missing", "b"] and got["b"][0] == 0
    assert fitted.notes_ == ["b: 1 row without a value, taken as 2.5"]


def test_booleans_are_two_numbers():
    fitted = Preprocessor().fit(table(a=[True, False, True, None]))
    assert len(set(named(fitted, fitted.transform(table(a=[True, False, True])))["a"])) == 2
    np.testing.assert_array_equal(fitted.transform(table(a=["yes", "No"])), fitted.transform(table(a=[True, False])))
    np.testing.assert_array_equal(fitted.transform(table(a=[1.0, 0.0])), fitted.transform(table(a=[True, False])))
    with pytest.raises(ValueError, match=r"expects true or false, as in training, in column 'a'; got 2 in row 1"):
        fitted.transform(table(a=[1.0, 2.0]))


def test_texts_are_columns_of_0_and_1_and_unknown_ones_zeros():
    fitted = Preprocessor().fit(table(c=["red", "blue", None, "red"]))
    got = named(fitted, fitted.transform(table(c=["blue", "green", None])))
    assert got == {"c=blue": [1, 0, 0], "c=red": [0, 0, 0], "c missing": [0, 0, 1]}
    assert fitted.notes_ == ["c: 1 row with none of the categories of the training, as 'green': all zeros"]
    fitted.set_params(strict=True)
    with pytest.raises(ValueError, match=r"one of 'blue', 'red', in column 'c'; got 'green' in row 1"):
        fitted.transform(table(c=["blue", "green"]))


def test_categories_that_a_reader_takes_for_numbers_or_booleans_are_known():
    fitted = Preprocessor().fit(table(c=["1", "2", "x", "yes", "no", "2.5"] * 2))
    for values, want in (([1.0, 2.5], ["1", "2.5"]), ([True, False], ["yes", "no"])):
        np.testing.assert_array_equal(fitted.transform(table(c=values)), fitted.transform(table(c=want)))


def test_many_texts_are_hashed_by_their_checksums():
    texts = [f"shop {k % 60}" for k in range(240)]
    fitted = Preprocessor(max_categories=50).fit(table(c=texts))
    x = fitted.transform(table(c=["shop 3", "another"]))
    assert x.shape == (2, 256) and np.abs(x[1]).sum() == 1
    want = np.zeros(256)
    checksum = zlib.crc32(b"shop 3")
    want[(checksum >> 1) % 256] = 1 - 2 * (checksum & 1)
    np.testing.assert_array_equal(x[0], want)


def test_many_texts_are_codes_of_an_embedding():
    texts = [f"shop {k % 60}" for k in range(240)]
    some = [None, *texts[1:]]
    columns = table(a=list(range(240)), c=texts, d=some, e=["x", "y"] * 120)
    fitted = Preprocessor(max_categories=50, many="codes").fit(columns)
    assert fitted.get_feature_names_out().tolist() == ["c", "d", "a", "e=x", "e=y"] and fitted.n_codes_ == [61, 62]
    shops = sorted(set(texts))
    x = fitted.transform(table(a=[0, 1, 2], c=[shops[0], "another", None], d=[shops[59], "another", None], e=["x"] * 3))
    assert x[:, :2].tolist() == [[1, 60], [0, 0], [0, 61]]
    assert fitted.notes_ == [
        "c: 2 rows with none of the categories of the training, as 'another': taken as their mean",
        "d: 1 row with none of the categories of the training, as 'another': taken as their mean",
    ]
    assert [done for *_, done in fitted.summary_][1:3] == [
        "embedded, 60 categories",
        "embedded, 60 categories and one of missing",
    ]
    codes = fitted.transform(columns)[:, :2].astype(int)
    assert [shops[k - 1] for k in codes[:, 0]] == texts
    again = Preprocessor.from_json(fitted.to_json())
    assert again.n_codes_ == fitted.n_codes_ and again.many == "codes"
    np.testing.assert_array_equal(again.transform(columns), fitted.transform(columns))
    fitted.set_params(strict=True)
    with pytest.raises(ValueError, match=r"one of 'shop 0', .*, in column 'c'; got none in row 1"):
        fitted.transform(table(a=[0, 1], c=["shop 1", None], d=["shop 1"] * 2, e=["x"] * 2))
    with pytest.raises(ValueError, match=r"Preprocessor\.fit expects many as one of 'hashed', 'codes'; got 'one-hot'"):
        Preprocessor(many="one-hot").fit(columns)


def test_dates_are_a_year_and_cycles():
    dates = np.array(["2020-01-01", "2020-07-01", "2021-03-15", "2022-11-30", "NaT"], "M8[s]")
    fitted = Preprocessor().fit(table(d=dates))
    got = named(fitted, fitted.transform(table(d=dates)))
    years = (dates.astype(np.int64)[:4] / YEAR) + 1970
    np.testing.assert_allclose(got["d year"][:4], (years - years.mean()) / years.std(), atol=1e-9)
    np.testing.assert_allclose(got["d month sin"][:2], [0, 0], atol=1e-12)
    assert got["d month cos"][:2] == [1, -1]
    np.testing.assert_allclose(got["d weekday cos"][2], 1)  # a Monday
    assert got["d missing"] == [0, 0, 0, 0, 1] and "d hour sin" not in got
    assert np.isfinite(fitted.transform(table(d=dates))).all()
    with pytest.raises(ValueError, match="expects dates, as in training, in column 'd'; got 'soon' in row 0"):
        fitted.transform(table(d=["soon"]))


def test_columns_of_no_use_are_left_out_and_say_why():
    n = 60
    fitted = Preprocessor(ignore=["rest"]).fit(
        table(
            a=np.arange(0, 2 * n, 2.0).tolist(),
            same=["x"] * n,
            who=[f"name {k}" for k in range(n)],
            rest=[1.0, 2.0] * (n // 2),
        )
    )
    assert fitted.get_feature_names_out().tolist() == ["a"]
    assert fitted.left_out_ == {
        "same": "as it is the same everywhere",
        "who": "as 60 different texts in 60 rows name the rows",
        "rest": "as asked",
    }


def test_long_texts_are_left_out_which_is_said():
    reviews = [f"this film number {k} was not as good as I had hoped it to be" for k in range(80)]
    fitted = Preprocessor().fit(table(review=reviews, a=[1.0, 2.0] * 40))
    assert list(fitted.left_out_) == ["review"] and "characters on average, are no cat" in fitted.left_out_["review"]
    with pytest.raises(ValueError, match=r"got none of use: review, as its texts, of \d+ characters on average"):
        Preprocessor().fit(table(review=reviews))


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"b": [1.0]}, r"expects the columns of the training; got none of the name 'a', but 'b'"),
        ({"a": ["x"]}, r"expects numbers, as in training, in column 'a'; got 'x' in row 0"),
        ({"a": [1.0, np.inf]}, r"expects finite numbers, in column 'a'; got inf in row 1"),
    ],
)
def test_tables_of_other_columns_are_refused(new, message):
    fitted = Preprocessor().fit(table(a=[1.0, 2.0, 4.0]))
    with pytest.raises(ValueError, match=message):
        fitted.transform(table(**new))


def test_other_columns_and_another_order_make_no_difference():
    fitted = Preprocessor().fit(table(a=[1.0, 2.0, 4.0], c=["x", "y", "x"]))
    np.testing.assert_array_equal(
        fitted.transform(table(c=["y"], more=["m"], a=[2.0])), fitted.transform(table(a=[2.0], c=["y"]))
    )


# --- the target -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a"] * 6, ("a", "b")),
        ([True, False] * 6, (False, True)),
        ([0.0, 1.0, 2.0] * 4, (0, 1, 2)),
        ([1.0, 2.0, 3.0] * 4, (1, 2, 3)),
        ([-1.0, 1.0] * 6, (-1, 1)),
        ([3.0, 4.0, 5.0] * 4, None),  # as the quality of wines
        ([1.0, 2.0, 4.0] * 4, None),
        ([float(k) for k in range(1, 21)] * 9, None),  # amounts
        ([float(k) for k in range(10)] * 3, tuple(range(10))),  # digits
        ([float(k) for k in range(10)] * 2, None),
        ([0.5, 1.5] * 6, None),
    ],
)
def test_the_task_follows_from_the_target(values, classes):
    target, said = targets.target_of(column("t", values), table(t=values))
    assert getattr(target, "classes", None) == classes
    assert said.startswith(f"t has {len(set(values))} different ")
    numbered = classes is not None and not isinstance(classes[0], str | bool)
    assert ("--task regression" in said) == numbered


@pytest.mark.parametrize("values", [["b", "a"] * 6, [True, False] * 6, [2.0, 3.0] * 6])
def test_classes_come_back_as_they_were(values):
    fitted = Preprocessor().fit(table(a=list(np.arange(12.0)), t=values), "t")
    again = Preprocessor.from_json(fitted.to_json())
    codes = again.transform_target("t", table(t=values, b=values))
    assert codes.dtype == np.int64
    back = again.inverse_target(codes)
    assert back.tolist() == values and back.dtype.kind == {str: "O", bool: "b", float: "i"}[type(values[0])]


@pytest.mark.parametrize("unit", [1e-310, 1.0, 1e305])
def test_numbers_come_back_in_their_unit(unit, rng):
    values = rng.normal(50, 7, 40) * unit
    fitted = Preprocessor().fit(rng.normal(size=(40, 2)), values)
    t = fitted.transform_target(values)
    np.testing.assert_allclose([t.mean(), t.std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(fitted.inverse_target(t), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a"] * 9, None, "classification expects at least two classes in column 't' of it.csv; got only 'a'"),
        ([3.5] * 9, None, "regression expects at least two different numbers"),
        (["a", "b"] * 5, "regression", "regression expects numbers in column 't' of it.csv; got 'a'"),
        ([f"n{k}" for k in range(9)], None, "at least 3 rows of a class on average"),
        (["a", "b", None] * 4, None, "expects a target in each row, in column 't'; got none in row 2"),
        (np.arange(9).astype("M8[D]"), None, "expects numbers or classes in column 't' of it.csv; got dates"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(values, task, message):
    with pytest.raises(ValueError, match=message):
        Preprocessor().fit(table(a=np.arange(float(len(values))).tolist(), t=values), "t", task=task)


# --- the text that is saved -----------------------------------------------------------------


@pytest.fixture
def fitted():
    n = 120
    dates = np.datetime64("2020-01-01", "s") + np.arange(n) * 86400 * 11
    return Preprocessor(max_categories=50).fit(
        table(
            a=[None, *np.linspace(0, 1, n - 1)],
            b=[True, False] * (n // 2),
            c=["x", "y", None] * (n // 3),
            d=dates,
            e=[f"shop {k % 55}" for k in range(n)],
            same=[1.0] * n,
            t=["p", "q"] * (n // 2),
        ),
        "t",
    )


def test_json_keeps_everything(fitted):
    again = Preprocessor.from_json(fitted.to_json())
    new = table(a=[0.3, None], b=[True, False], c=["x", "w"], d=np.array(["2021-05-05", "NaT"], "M8[s]"), e=["a", "b"])
    np.testing.assert_array_equal(again.transform(new), fitted.transform(new))
    assert again.to_json() == fitted.to_json() and again.left_out_ == fitted.left_out_
    assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()


def test_a_text_that_was_changed_anywhere_is_refused_or_gives_a_preprocessor(fitted):
    """Each value of the document is replaced by others of all types, and left out."""
    document = json.loads(fitted.to_json())

    def places(node, path=()):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in list(items):
            yield (*path, key)
            yield from places(value, (*path, key))

    for path in list(places(document)):
        for other in (None, True, -1, 1e400, "x", [], {}, [[]], 10**400, ...):
            changed = json.loads(fitted.to_json())
            node = changed
            for key in path[:-1]:
                node = node[key]
            if other is ...:
                del node[path[-1]]
            else:
                node[path[-1]] = other
            try:
                made = Preprocessor.from_json(json.dumps(changed))
            except ValueError as error:
                text = str(error)
                assert text.startswith("Preprocessor.from_json expects") and "; got " in text and "\n" not in text
                assert len(text) < 600
            else:
                assert made.n_features_in_ >= 1


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"format": "fastbp-network"}', b"\xff", None])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"Preprocessor.from_json expects .*; got"):
        Preprocessor.from_json(text)


def test_a_newer_version_is_refused_and_the_first_one_read(fitted):
    document = json.loads(fitted.to_json())
    with pytest.raises(ValueError, match="of version 1 to 2 in the text; got version 3, written by another fastbp"):
        Preprocessor.from_json(json.dumps(document | {"version": 3}))
    first = {name: value for name, value in document.items() if name != "many"} | {"version": 1}
    assert Preprocessor.from_json(json.dumps(first)).to_json() == fitted.to_json()
    with pytest.raises(ValueError, match="a whole preprocessor in the text; got KeyError: 'many'"):
        Preprocessor.from_json(json.dumps(first | {"version": 2}))


def test_codes_come_before_other_columns():
    columns = table(a=[1.0, 2.0] * 30, c=[f"shop {k % 6}" for k in range(60)])
    document = Preprocessor(max_categories=5, many="codes").fit(columns).document()
    document["columns"].reverse()
    with pytest.raises(ValueError, match="got ValueError: codes behind other columns"):
        Preprocessor.from_json(json.dumps(document))


def test_scikit_learns_conventions(fitted):
    sklearn = pytest.importorskip("sklearn.base")
    with pytest.raises(ValueError, match="expects fit to be called before"):
        sklearn.clone(fitted).transform(table(a=[1.0]))
    assert sklearn.clone(fitted.set_params(strict=True)).get_params() == fitted.get_params()
    with pytest.raises(ValueError, match="a parameter as one of"):
        fitted.set_params(stric=True)


# --- parts ----------------------------------------------------------------------------------


def test_parts_keep_shares_of_classes_and_every_row_once():
    classes = np.repeat([0, 1, 2], [50, 20, 1])
    parts = splitting.split(71, (0.16, 0.2), 0, classes=classes)
    assert [np.bincount(classes[part], minlength=3).tolist() for part in parts] == [[32, 13, 1], [8, 3, 0], [10, 4, 0]]
    assert sorted(np.concatenate(parts)) == list(range(71))
    assert parts[0].tolist() != sorted(parts[0])


def test_groups_stay_together_and_times_in_order(rng):
    groups = rng.integers(0, 30, 400)
    parts = splitting.split(400, (0.16, 0.2), 0, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(400))
    sets = [set(groups[part]) for part in parts]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    assert 40 <= len(parts[1]) <= 90 and 50 <= len(parts[2]) <= 110
    times = rng.permutation(400)
    train, validation, test = (times[part] for part in splitting.split(400, (0.16, 0.2), 0, times=times))
    assert train.max() < validation.min() and validation.max() < test.min()
