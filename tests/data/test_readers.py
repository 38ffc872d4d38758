"""Each reader gives the same market for the same rows, with texts known when they should be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flag_trl.data import DataError, MarketData, load_market, sample_symbols

DATES = ["2020-01-02", "2020-01-03"]
ROWS = {
    "Date": DATES,
    "Open": [10.0, 11.0],
    "High": [12.0, 12.0],
    "Low": [9.0, 10.0],
    "Close": [11.0, 11.5],
    "Volume": [100.0, 200.0],
    "News": ["up, and up", None],
}


@pytest.fixture
def real_data() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FLAG_TRL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder} of real data; set FLAG_TRL_DATA to one")
    return folder


@pytest.fixture
def dataset_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def rows_of(*symbols: str) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(ROWS).assign(Symbol=symbol) for symbol in symbols], ignore_index=True)


def assert_is_the_table(market: MarketData) -> None:
    np.testing.assert_array_equal(market.dates, np.array(DATES, dtype="datetime64[D]"))
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(market, name), ROWS[name.capitalize()])
    assert [(text.kind, text.text) for text in market.texts] == [("news", "up, and up")]


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = "import sys, flag_trl.data; print({'pandas', 'pandera', 'datasets', 'torch', 'skfolio'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_the_sample_holds_adjusted_closes_of_twenty_stocks() -> None:
    market = load_market("sample", "MSFT")
    assert len(sample_symbols()) == 20
    assert (str(market.dates[0]), str(market.dates[-1]), len(market)) == ("1990-01-02", "2022-12-28", 8313)
    assert (market.close[0], market.close[-1]) == (0.384, 233.434)
    assert market.open is None and market.texts == ()


def test_without_skfolio_the_sample_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flag_trl.data.readers.sample.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'flag-trl\[eval\]'"):
        load_market("sample", "MSFT")


def test_a_csv_file_is_read_with_its_header_in_any_case(tmp_path: Path) -> None:
    pd.DataFrame(ROWS).to_csv(tmp_path / "prices.csv", index=False)
    assert_is_the_table(load_market(str(tmp_path / "prices.csv"), "XYZ"))


def test_a_csv_file_with_closes_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(
        "\ufeffdate,close\n2020-01-02 00:00:00-05:00,11\n\n2020-01-03,11.5\n", "utf-8"
    )
    market = load_market(str(tmp_path / "prices.csv"), "XYZ")
    assert [str(day) for day in market.dates] == DATES
    assert market.open is None and market.volume is None


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_several_symbols_gives_the_rows_of_one(tmp_path: Path, suffix: str) -> None:
    table = rows_of("AAA", "XYZ")
    table.loc[0, "Close"] = -1.0  # a fault of the other symbol is none of ours
    path = tmp_path / f"prices.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    assert_is_the_table(load_market(str(path), "xyz"))


def test_a_parquet_file_may_have_true_dates_as_its_index(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS).assign(Date=pd.to_datetime(DATES)).set_index("Date")
    table.to_parquet(tmp_path / "prices.parquet")
    assert_is_the_table(load_market(str(tmp_path / "prices.parquet"), "XYZ"))


def test_a_folder_gives_the_file_named_after_the_symbol(tmp_path: Path) -> None:
    pd.DataFrame(ROWS).to_csv(tmp_path / "xyz.csv", index=False)
    (tmp_path / "aaa.json").write_text('{"2020-01-02": {"prices": 1}}')
    market = load_market(str(tmp_path), "XYZ")
    assert_is_the_table(market)
    assert market.source == str(tmp_path / "xyz.csv")


def test_a_saved_dataset_is_read(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    table = Dataset.from_pandas(rows_of("AAA", "XYZ"))
    table.save_to_disk(tmp_path / "plain")
    DatasetDict({"train": table}).save_to_disk(tmp_path / "one_split")
    DatasetDict({"train": table, "test": table}).save_to_disk(tmp_path / "two_splits")
    assert_is_the_table(load_market(str(tmp_path / "plain"), "XYZ"))
    assert_is_the_table(load_market(str(tmp_path / "one_split"), "XYZ"))
    with pytest.raises(DataError, match="holds the splits train, test; save one of them"):
        load_market(str(tmp_path / "two_splits"), "XYZ")


@pytest.mark.usefixtures("dataset_cache")
def test_a_folder_of_parquet_files_is_read_as_one_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    rows_of("AAA").to_parquet(folder / "part-0.parquet")
    rows_of("XYZ").to_parquet(folder / "part-1.parquet")
    assert_is_the_table(load_market(str(folder), "XYZ"))


@pytest.mark.usefixtures("dataset_cache")
def test_a_folder_of_tables_without_symbols_gives_no_symbol_the_rows_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    pd.DataFrame(ROWS).to_csv(folder / "AAA.csv", index=False)
    with pytest.raises(DataError, match="has no XYZ.csv or .parquet, and its tables no column symbol"):
        load_market(str(folder), "XYZ")


def test_a_hub_dataset_is_read_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    published = datasets.DatasetDict({"train": datasets.Dataset.from_dict(ROWS)})
    monkeypatch.setattr(datasets, "load_dataset", {"somebody/prices": published}.__getitem__)
    assert_is_the_table(load_market("somebody/prices", "XYZ"))


def test_json_bars_are_brought_onto_the_adjusted_scale(tmp_path: Path) -> None:
    rows = {
        "2020-01-02": {"prices": 5.0, "open": 9.0, "high": 12.0, "low": 8.0, "close": 10.0, "volume": 7, "news": []},
        "2020-01-03": {
            "prices": 10.0,
            "open": 9.0,
            "high": 12.0,
            "low": 8.0,
            "close": 10.0,
            "volume": 8,
            "news": ["a"],
        },
    }
    path = tmp_path / "xyz.json"
    path.write_text(json.dumps(rows))
    market = load_market(str(path), "XYZ")
    np.testing.assert_allclose(market.close, [5.0, 10.0])
    np.testing.assert_allclose(market.open, [4.5, 9.0])
    np.testing.assert_allclose(market.high, [6.0, 12.0])
    np.testing.assert_allclose(market.low, [4.0, 8.0])
    np.testing.assert_allclose(market.volume, [7.0, 8.0])


@pytest.mark.parametrize(
    "text_known, periods_per_year, known_at",
    [
        ("before_open", 252, "2020-01-02T00:00:00"),
        ("after_close", 252, "2020-01-02T16:00:01"),
        ("before_open", 365, "2020-01-02T00:00:00"),
        ("after_close", 365, "2020-01-03T00:00:01"),
    ],
)
def test_texts_are_known_when_the_caller_says(
    tmp_path: Path, text_known: str, periods_per_year: int, known_at: str
) -> None:
    path = tmp_path / "xyz.json"
    path.write_text('{"2020-01-02": {"prices": 1, "news": ["a", ""], "10k": ["b"], "10q": null}}')
    known = {"text_known": text_known, "filings_known": text_known}
    market = load_market(str(path), "XYZ", **known, periods_per_year=periods_per_year)
    assert [(text.kind, text.text, str(text.known_at)) for text in market.texts] == [
        ("news", "a", known_at),
        ("10k", "b", known_at),
    ]
    assert market.session_close == np.timedelta64(24 if periods_per_year == 365 else 16, "h")


def test_filings_are_known_by_a_rule_of_their_own_the_cautious_one_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "xyz.json"
    path.write_text('{"2020-01-02": {"prices": 1, "news": ["a"], "10k": ["b"], "10q": ["c"]}}')
    market = load_market(str(path), "XYZ", text_known="before_open")
    assert {text.kind: str(text.known_at) for text in market.texts} == {
        "news": "2020-01-02T00:00:00",
        "10k": "2020-01-02T16:00:01",
        "10q": "2020-01-02T16:00:01",
    }


def test_investor_bench_is_read(real_data: Path) -> None:
    market = load_market(str(real_data / "investor-bench" / "msft.json"), "MSFT")
    assert (str(market.dates[0]), str(market.dates[-1]), len(market)) == ("2020-03-12", "2021-05-06", 291)
    assert market.close[0] == 133.63912963867188
    assert market.open is None
    assert {text.kind for text in market.texts} == {"news", "10k", "10q"}
    assert load_market(str(real_data / "investor-bench"), "MSFT").close[0] == market.close[0]


def test_stocknet_is_read(real_data: Path) -> None:
    market = load_market(str(real_data / "stocknet" / "AAPL.json"), "AAPL")
    assert (str(market.dates[0]), str(market.dates[-1]), len(market)) == ("2013-12-02", "2016-01-29", 544)
    assert market.close[0] == 73.269989
    assert market.open is not None and market.high is not None and market.low is not None
    assert market.open[0] == pytest.approx(79.714287 * 73.269989 / 78.747147)
    assert (market.low <= market.close * (1 + 1e-6)).all() and (market.close <= market.high * (1 + 1e-6)).all()
    assert {text.kind for text in market.texts} == {"news"}
