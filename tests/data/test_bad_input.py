"""Every kind of wrong data gives an error that says what is wrong, where, and what to do."""

import json
from pathlib import Path

import pandas as pd
import pytest

from flag_trl.data import DataError, Period, chronological, decision_bars, load_market

GOOD_CSV = "date,open,high,low,close,volume,news\n2020-01-02,10,12,9,11,100,up\n2020-01-03,11,12,10,11,100,\n"


def day(price: object = 10.0, **more: object) -> dict[str, object]:
    return {"prices": price, **more}


def bar(**changes: object) -> dict[str, object]:
    return {"prices": 5.5, "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.0} | changes


def days(*rows: object) -> str:
    return json.dumps({f"2020-01-0{number}": row for number, row in enumerate(rows, start=2)})


# Name of the case -> file content, words that one line of the message holds together.
BAD_JSON = {
    "unsorted dates": ('{"2020-01-03": {"prices": 1}, "2020-01-02": {"prices": 1}}', ["2020-01-02, date", "sort"]),
    "duplicate dates": ('{"2020-01-02": {"prices": 1}, "2020-01-02": {"prices": 2}}', ["2020-01-02, date", "one row"]),
    "unparseable date": ('{"2020-13-01": {"prices": 1}}', ["2020-13-01, date", "not a date", "YYYY-MM-DD"]),
    "date of a month only": ('{"2020-12": {"prices": 1}}', ["2020-12, date", "not a date"]),
    "NaN price": ('{"2020-01-02": {"prices": NaN}}', ["2020-01-02, prices", "nan", "not a number"]),
    "infinite price": ('{"2020-01-02": {"prices": Infinity}}', ["2020-01-02, prices", "inf", "not a finite price"]),
    "price of zero": (days(day(), day(0)), ["2020-01-03, prices", "0 is not a finite price above zero"]),
    "negative price": (days(day(), day(-3.5)), ["2020-01-03, prices", "-3.5 is not a finite price above zero"]),
    "price is a word": (days(day("ten")), ["2020-01-02, prices", "'ten' is not a number"]),
    "price is true": (days(day(True)), ["2020-01-02, prices", "True is not a number"]),
    "missing price": (days(day(), {"news": []}), ["2020-01-03, prices", "an empty cell is not a number"]),
    "high below low": (days(bar(), bar(high=8.0)), ["2020-01-03, high", "8.0 is below the row's low"]),
    "open above high": (days(bar(open=12.1)), ["2020-01-02, open", "12.1 is above the row's high"]),
    "close below low": (days(bar(close=8.9)), ["2020-01-02, close", "8.9 is below the row's low"]),
    "negative volume": (days(bar(volume=-1)), ["2020-01-02, volume", "-1 is not a finite volume"]),
    "bars without a close": (days(day(open=10.0)), ["close", "missing beside open", "as traded"]),
    "bars on some days": (days(bar(), day()), ["2020-01-03, open", "an empty cell is not a number"]),
    "text is a number": (days(day(news=["up", 5])), ["2020-01-02, news", "5 is not text", "list of strings"]),
    "text is an object": (days(day(news={"a": "b"})), ["2020-01-02, news", "is not text"]),
    "unknown key": (days(day(), day(sentiment=1)), ["2020-01-03, sentiment", "unknown key", "known are: prices"]),
    "a key twice": ('{"2020-01-02": {"prices": 1, "prices": 2}}', ["2020-01-02, prices", "stands twice"]),
    "day is not an object": (days(10.0), ["2020-01-02", "is not an object"]),
    "list of days": ("[1, 2]", ["holds a list, not an object of days"]),
    "bare number": ("3", ["holds a int, not an object of days"]),
    "empty file": (" \n", ["the file is empty"]),
    "no days": ("{}", ["holds no rows"]),
    "truncated": ('{"2020-01-02": {"prices": 1},\n "2020-01-03": {"pri', ["line 2, column", "cut off"]),
}
BAD_CSV = {
    "unsorted dates": ("date,close\n2020-01-03,1\n2020-01-02,1\n", ["line 3, date", "earlier", "sort"]),
    "duplicate dates": ("date,close\n2020-01-03,1\n2020-01-03,1\n", ["line 3, date", "keep one row a day"]),
    "unparseable date": ("date,close\n03/01/2020,1\n", ["line 2, date", "'03/01/2020' is not a date"]),
    "missing date": ("date,close\n,1\n", ["line 2, date", "an empty cell is not a date"]),
    "NaN price": ("date,close\n2020-01-02,NaN\n", ["line 2, close", "'NaN' is not a number"]),
    "price of zero": ("date,close\n2020-01-02,1\n2020-01-03,0.0\n", ["line 3, close", "above zero"]),
    "grouped digits": ('date,close\n2020-01-02,"1,000"\n', ["line 2, close", "'1,000' is not a number"]),
    "underscored digits": ("date,close\n2020-01-02,1_000\n", ["line 2, close", "'1_000' is not a number"]),
    "high below low": (GOOD_CSV.replace("11,12,10", "11,9,10"), ["line 3, high", "below the row's low"]),
    "row after a text of two lines": ('date,close,news\n2020-01-02,1,"a\nb"\n2020-01-03,-1,\n', ["line 4, close"]),
    "no close": ("date,price\n2020-01-02,1\n", ["there is no column 'close'", "date, price"]),
    "no date": ("day,close\n2020-01-02,1\n", ["there is no column 'date'"]),
    "unknown column": ("date,close,adj\n2020-01-02,1,1\n", ["unknown column 'adj'", "known are: date, open"]),
    "column twice": ("date,close,Close\n2020-01-02,1,1\n", ["header", "'close' stands twice"]),
    "too few cells": (GOOD_CSV + "2020-01-06,10\n", ["line 4", "has 2 cells, the header has 7"]),
    "unclosed quote": ('date,close,news\n2020-01-02,1,"up\n', ["line 2", "close the quotes"]),
    "unknown symbol": ("date,close,symbol\n2020-01-02,1,AAA\n", ["column symbol", "no 'XYZ'", "there are: AAA"]),
    "no symbol on a row": ("date,close,symbol\n2020-01-02,1,XYZ\n2020-01-03,1,\n", ["line 3, symbol", "empty cell"]),
    "empty file": ("", ["the file is empty"]),
    "no rows": ("date,close\n", ["holds no rows"]),
}


def assert_message(error: pytest.ExceptionInfo[DataError], place: str, words: list[str]) -> None:
    lines = str(error.value).splitlines()
    assert any(line.startswith(place) and all(word in line for word in words) for line in lines), str(error.value)


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_refused_by_file_day_and_key(tmp_path: Path, case: str) -> None:
    content, words = BAD_JSON[case]
    path = tmp_path / "xyz.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        load_market(str(path), "XYZ")
    assert_message(error, str(path), words)


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv_is_refused_by_file_line_and_column(tmp_path: Path, case: str) -> None:
    content, words = BAD_CSV[case]
    path = tmp_path / "xyz.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        load_market(str(path), "XYZ")
    assert_message(error, str(path), words)


BAD_PARQUET = {
    "text is a number": ({"date": ["2020-01-02"], "close": [1.0], "text": [5]}, ["row 1, text", "5 is not text"]),
    "missing price": ({"date": ["2020-01-02"], "close": [None]}, ["row 1, close", "an empty cell is not a number"]),
    "date is a number": ({"date": [20200102], "close": [1.0]}, ["row 1, date", "20200102 is not a date"]),
}


@pytest.mark.parametrize("case", BAD_PARQUET)
def test_bad_parquet_is_refused_by_file_row_and_column(tmp_path: Path, case: str) -> None:
    columns, words = BAD_PARQUET[case]
    path = tmp_path / "xyz.parquet"
    pd.DataFrame(columns).to_parquet(path)
    with pytest.raises(DataError) as error:
        load_market(str(path), "XYZ")
    assert_message(error, str(path), words)


@pytest.mark.parametrize(
    "content, words", [(b"", "the file is empty"), (b"PAR1 no more", "cannot be read as Parquet")]
)
def test_a_broken_parquet_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "xyz.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_market(str(path), "XYZ")


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"xyz.{suffix}"
    path.write_bytes(b"date,close,news\n2020-01-02,1,caf\xe9\n")
    with pytest.raises(DataError, match="byte 32 is not UTF-8"):
        load_market(str(path), "XYZ")


def test_all_offences_are_listed_at_once_each_by_file_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "xyz.csv"
    path.write_text(
        "date,open,high,low,close,volume\n"
        "2020-01-02,10,12,9,11,100\n"
        "2020-01-01,10,12,9,11,100\n"
        "soon,10,12,9,nan,100\n"
        "2020-01-06,10,8,9,-1,-5\n"
        "2020-01-07,10\n"
        "2020-01-06,10,12,9,11,100\n"
    )
    with pytest.raises(DataError) as error:
        load_market(str(path), "XYZ")
    places = [line.split(":")[0] for line in str(error.value).splitlines()]
    expected = {
        "line 3, date", "line 4, date", "line 4, close", "line 5, high", "line 5, close", "line 5, volume",
        "line 6", "line 7, date",
    }  # fmt: skip
    assert {f"{path}, {place}" for place in expected} <= set(places)
    assert {place.split(", ")[1] for place in places} == {f"line {number}" for number in range(3, 8)}


def test_offences_beyond_the_twentieth_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "xyz.csv"
    path.write_text("date,close\n" + "".join(f"2020-01-{number:02d},0\n" for number in range(1, 26)))
    with pytest.raises(DataError) as error:
        load_market(str(path), "XYZ")
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 5 more"


@pytest.mark.parametrize("start, end", [("2019-12-31", "2020-01-03"), ("2020-01-02", "2020-01-04")])
def test_a_period_outside_the_data_is_refused(tmp_path: Path, start: str, end: str) -> None:
    path = tmp_path / "xyz.csv"
    path.write_text(GOOD_CSV)
    market = load_market(str(path), "XYZ")
    with pytest.raises(DataError, match="outside the data; the data run from 2020-01-02 to 2020-01-03"):
        market.index_range(start, end)
    with pytest.raises(DataError, match="outside the data"):
        decision_bars(market, Period("test", start, end))
    with pytest.raises(DataError, match="2 bars split into"):
        chronological(market, 0.5, 0.25)


def test_an_unknown_sample_symbol_is_answered_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no symbol 'XYZ'; there are: AAPL, .*MSFT.*XOM"):
        load_market("sample", "XYZ")


@pytest.mark.parametrize("source", ["nowhere/data/xyz.json", "xyz.csv", "./nowhere", "/no/such/folder"])
def test_a_missing_file_is_refused_without_asking_the_hub(source: str) -> None:
    with pytest.raises(DataError, match=f"{source}: there is no such file or folder"):
        load_market(source, "XYZ")


def test_a_file_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "xyz.txt"
    path.write_text(GOOD_CSV)
    with pytest.raises(DataError, match="ends with .json, .csv, .parquet"):
        load_market(str(path), "XYZ")


def test_a_folder_without_the_symbol_is_answered_with_those_it_has(tmp_path: Path) -> None:
    (tmp_path / "aaa.json").write_text(days(day()))
    with pytest.raises(DataError, match=r"there is no XYZ.json, .csv or .parquet; there are: aaa"):
        load_market(str(tmp_path), "XYZ")


def test_a_hub_id_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="the Hub could not be reached over the network .*give the path"):
        load_market("nobody/prices-that-are-not-here", "XYZ")


def test_a_hub_id_that_does_not_exist_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(source: str) -> None:
        raise datasets.exceptions.DatasetNotFoundError(f"no {source}")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match="no dataset that the Hub would show; check the spelling"):
        load_market("nobody/prices", "XYZ")


def test_an_unknown_word_for_text_known_is_refused() -> None:
    with pytest.raises(ValueError, match="give one of after_close, before_open"):
        load_market("sample", "MSFT", text_known="at_noon")


def test_the_good_table_of_these_tests_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "xyz.csv"
    path.write_text(GOOD_CSV)
    assert len(load_market(str(path), "XYZ")) == 2
