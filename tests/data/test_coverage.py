"""What is said of a market's data is what is in them."""

import numpy as np
import pytest

from flag_trl.data import DatedText, MarketData, coverage


def days(*given: str) -> np.ndarray:
    return np.array(given, dtype="datetime64[D]")


def test_a_weekend_with_a_holiday_is_no_gap_and_a_day_more_is() -> None:
    dates = days("2020-01-03", "2020-01-07", "2020-01-12", "2020-01-13")
    found = coverage(MarketData("AAA", dates, np.array([10.0, 10.0, 11.0, 12.0])))
    assert found.gaps == [(dates[1], dates[2], 5)]
    assert found.unchanged == 1


def test_what_trades_every_day_has_a_gap_where_one_day_is_missing() -> None:
    dates = days("2020-01-03", "2020-01-04", "2020-01-06")
    found = coverage(MarketData("BTC", dates, np.ones(3), periods_per_year=365))
    assert found.gaps == [(dates[1], dates[2], 2)]


def test_moves_of_a_quarter_are_listed_the_largest_first() -> None:
    dates = np.datetime64("2020-01-01") + np.arange(5)
    found = coverage(MarketData("AAA", dates, np.array([100.0, 70.0, 72.0, 144.0, 150.0])))
    assert [(day, pytest.approx(move)) for day, move in found.moves] == [(dates[3], 1.0), (dates[1], -0.3)]


def test_texts_are_counted_on_the_bar_that_first_sees_them() -> None:
    dates = days("2020-01-03", "2020-01-06", "2020-01-07")
    texts = [
        DatedText("news", text, np.datetime64(moment))
        for moment, text in (
            ("2020-01-03T10:00:00", "a"),
            ("2020-01-03T18:00:00", "bb"),
            ("2020-01-05T09:00:00", "a"),
            ("2020-01-06T09:00:00", " "),
            ("2020-01-09T09:00:00", "too late"),
        )
    ]
    filing = DatedText("10k", "filing", np.datetime64("2020-01-07T10:00:00"))
    found = coverage(MarketData("AAA", dates, np.ones(3), texts=(*texts, filing)))
    news, filings = found.texts
    assert (news.kind, filings.kind) == ("news", "10k")
    assert news.per_bar.tolist() == [2, 2, 0] and filings.per_bar.tolist() == [0, 0, 1]
    assert (news.repeated, news.empty, found.late) == (1, 1, 1)
    assert sorted(news.lengths) == [1, 1, 1, 2, 8]


def test_a_single_bar_without_texts_is_covered_too() -> None:
    found = coverage(MarketData("AAA", days("2020-01-03"), np.ones(1)))
    assert (found.gaps, found.moves, found.texts, found.unchanged, found.late) == ([], [], [], 0, 0)
