"""Published datasets in their own layouts: what they hold, when it counts as known, and what is wrong, by file."""

import json
from pathlib import Path

import numpy as np
import pytest

from flag_trl.data import DataError, load_market

PRICES = """Date,Open,High,Low,Close,Adj Close,Volume
2014-01-02,20,22,19,21,10.5,1000
2014-01-03,21,23,20,22,11,1100
2014-07-03,30,33,29,32,16,900
"""
FILING = {"prices": 1.0, "10k": ["Revenue rose."]}


def tweet(created: str, words: list[str] | str) -> str:
    return json.dumps({"text": words, "created_at": created, "user_id_str": "1"})


@pytest.fixture
def stocknet(tmp_path) -> Path:
    prices, tweets = tmp_path / "price" / "raw", tmp_path / "tweet" / "preprocessed" / "XYZ"
    for folder in (prices, tweets):
        folder.mkdir(parents=True)
    (prices / "XYZ.csv").write_text(PRICES)
    (tweets / "2014-01-02").write_text(
        tweet("Thu Jan 02 20:59:00 +0000 2014", ["$", "xyz", "rises"])
        + "\n"
        + tweet("Thu Jan 02 21:01:00 +0000 2014", ["late", "news"])
    )
    (tweets / "2014-07-03").write_text(tweet("Thu Jul 03 19:59:00 +0000 2014", "in summer"))
    return tmp_path


@pytest.fixture
def fnspid(tmp_path) -> Path:
    prices, news = tmp_path / "Stock_price" / "full_history", tmp_path / "Stock_news"
    for folder in (prices, news):
        folder.mkdir(parents=True)
    header, *rows = PRICES.lower().splitlines()
    (prices / "XYZ.csv").write_text("\n".join([header, *reversed(rows)]) + "\n")
    item = '2014-01-03 15:30:00 UTC,"XYZ, rising.",xyz,u,p,a,"Line one\nline two","A ""summary"".",,,\n'
    (news / "a.csv").write_text(
        "Unnamed: 0,Date,Article_title,Stock_symbol,Url,Publisher,Author,Article,Lsa_summary,Luhn_summary,"
        "Textrank_summary,Lexrank_summary\n0," + item + "1,2014-01-03 00:00:00 UTC,Dated only,XYZ,u,p,a,,,,,\n"
        "2,2014-01-03 10:00:00 UTC,Another company,ABC,u,p,a,,,,,\n"
    )
    (news / "b.csv").write_text(
        "Date,Article_title,Stock_symbol,Url,Publisher,Author,Article,Lsa_summary,Luhn_summary,Textrank_summary,"
        "Lexrank_summary\n" + item
    )
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    return tmp_path


def known(market) -> list[tuple[str, str]]:
    return [(text.text, str(text.known_at)) for text in market.texts]


def test_stocknets_own_layout_brings_prices_onto_the_adjusted_scale(stocknet) -> None:
    market = load_market(str(stocknet), "xyz")
    np.testing.assert_array_equal(market.close, [10.5, 11, 16])
    np.testing.assert_allclose(market.open, [10, 10.5, 15])
    np.testing.assert_allclose(market.high, [11, 11.5, 16.5])
    assert str(market.dates[0]) == "2014-01-02" and market.source.endswith("XYZ.csv")


def test_a_tweet_is_known_by_its_moment_on_the_exchange_s_clock_winter_and_summer(stocknet) -> None:
    market = load_market(str(stocknet), "XYZ", text_known="timestamp")
    assert known(market) == [
        ("$ xyz rises", "2014-01-02T15:59:00"),
        ("late news", "2014-01-02T16:01:00"),
        ("in summer", "2014-07-03T15:59:00"),
    ]
    assert [text.text for text in market.as_of(0).known_texts] == ["$ xyz rises"]
    assert [text.text for text in market.as_of(1).known_texts] == ["$ xyz rises", "late news"]


@pytest.mark.parametrize(("rule", "time"), [("after_close", "16:00:01"), ("before_open", "00:00:00")])
def test_the_other_rules_look_at_the_day_alone(rule, time, stocknet) -> None:
    market = load_market(str(stocknet), "XYZ", text_known=rule)
    assert [moment for _, moment in known(market)] == [f"2014-01-02T{time}"] * 2 + [f"2014-07-03T{time}"]


def test_raw_tweets_serve_where_there_are_no_preprocessed_ones(stocknet) -> None:
    (stocknet / "tweet" / "preprocessed").rename(stocknet / "tweet" / "raw")
    assert len(load_market(str(stocknet), "XYZ").texts) == 3


def test_fnspids_own_layout_has_each_item_once_by_its_title_and_summary(fnspid) -> None:
    market = load_market(str(fnspid), "XYZ", text_known="timestamp")
    assert [str(day) for day in market.dates] == ["2014-01-02", "2014-01-03", "2014-07-03"]
    np.testing.assert_array_equal(market.close, [10.5, 11, 16])
    # Midnight in UTC means that the source has the day alone: known after that day's close.
    assert known(market) == [
        ('XYZ, rising. A "summary".', "2014-01-03T10:30:00"),
        ("Dated only", "2014-01-03T16:00:01"),
    ]


def test_crypto_days_are_those_of_utc(fnspid) -> None:
    market = load_market(str(fnspid), "XYZ", text_known="timestamp", periods_per_year=365)
    assert known(market)[0][1] == "2014-01-03T15:30:00"


def test_finmems_days_are_chosen_by_symbol(tmp_path) -> None:
    days = {
        "2022-01-03": {
            "price": {"TSLA": 10.0, "F": 3.0},
            "news": {"TSLA": ["up"], "F": ["no"]},
            "filing_k": {},
            "filing_q": {"TSLA": "a quarter"},
        },
        "2022-01-04": {"price": {"TSLA": 11.0}, "news": {}, "filing_k": {"TSLA": "a year"}, "filing_q": {}},
        "2022-01-05": {"price": {"F": 3.0}, "news": {"tsla": ["weekend"]}, "filing_k": {}, "filing_q": {}},
        "2022-01-06": {"price": {"TSLA": 12.0}, "news": {"TSLA": ["monday"]}, "filing_k": {}, "filing_q": {}},
    }
    (tmp_path / "days.json").write_text(json.dumps(days))
    market = load_market(str(tmp_path / "days.json"), "tsla")
    np.testing.assert_array_equal(market.close, [10.0, 11.0, 12.0])
    # What is told on a day without a price is known on the next that has one.
    expected = [("news", "up"), ("10q", "a quarter"), ("10k", "a year"), ("news", "weekend"), ("news", "monday")]
    assert [(text.kind, text.text) for text in market.texts] == expected
    assert str(market.texts[3].known_at) == "2022-01-06T16:00:01"
    with pytest.raises(DataError, match="no price of 'MSFT'; there are: F, TSLA"):
        load_market(str(tmp_path / "days.json"), "MSFT")


def test_what_is_wrong_with_finmems_days_is_named(tmp_path) -> None:
    days = {"2022-01-03": {"price": {"TSLA": 1.0}, "news": ["up"], "mood": {}}, "2022-01-04": 3}
    (tmp_path / "days.json").write_text(json.dumps(days))
    with pytest.raises(DataError) as error:
        load_market(str(tmp_path / "days.json"), "TSLA")
    for part in (
        "2022-01-03, news: is not by symbol",
        "2022-01-03, mood: unknown key",
        "2022-01-04: is not an object",
    ):
        assert part in str(error.value)


def test_a_row_of_news_that_is_cut_short_is_named(fnspid) -> None:
    (fnspid / "Stock_news" / "c.csv").write_text("Stock_symbol,Date,Article_title\nXYZ\n")
    with pytest.raises(DataError, match="c.csv, line 2: has 1 cells, the header has 3"):
        load_market(str(fnspid), "XYZ")


def test_texts_without_times_are_not_known_by_them(tmp_path) -> None:
    (tmp_path / "XYZ.json").write_text(json.dumps({"2020-01-02": FILING, "2020-01-03": {"prices": 2.0}}))
    load_market(str(tmp_path), "XYZ", text_known="timestamp")
    with pytest.raises(DataError, match="XYZ.json: 10k have dates and no times of day.*give after_close"):
        load_market(str(tmp_path), "XYZ", filings_known="timestamp")


@pytest.mark.parametrize(
    ("place", "content", "says"),
    [
        ("tweet/preprocessed/XYZ/2014-01-02", "{}", "2014-01-02, line 1: is no tweet with text and created_at"),
        ("tweet/preprocessed/XYZ/2014-01-02", "\n[1, 2", "2014-01-02, line 2: is no tweet"),
        ("tweet/preprocessed/XYZ/2014-01-02", tweet("yesterday", "a"), "line 1: 'yesterday' is no moment"),
        ("price/raw/XYZ.csv", "Date,Open,Adj Close\n2014-01-02,1,2\n", "close: missing beside open"),
        ("price/raw/XYZ.csv", PRICES.replace("10.5", "x"), "line 2, adj close: 'x' is not a number"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(place, content, says, stocknet) -> None:
    (stocknet / place).write_text(content)
    with pytest.raises(DataError, match=says):
        load_market(str(stocknet), "XYZ")


def test_a_tweet_file_in_another_encoding_is_named(stocknet) -> None:
    (stocknet / "tweet/preprocessed/XYZ/2014-01-02").write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match="2014-01-02: byte 0 is not UTF-8"):
        load_market(str(stocknet), "XYZ")


@pytest.mark.parametrize("layout", ["stocknet", "fnspid"])
def test_a_symbol_that_is_not_there_is_answered_with_those_that_are(layout, request) -> None:
    with pytest.raises(DataError, match="there is no ABC.csv; there are: XYZ"):
        load_market(str(request.getfixturevalue(layout)), "ABC")
