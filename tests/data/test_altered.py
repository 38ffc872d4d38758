"""Altered markets: what is altered is, all of it, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flag_trl.data import DatedText, Event, MarketData, altered, anonymised, mirrored, name_stand_in, redated, renamed

DAYS = np.array(["2020-10-12", "2020-10-13", "2020-10-14"], dtype="datetime64[D]")


def market(*words: str) -> MarketData:
    texts = tuple(DatedText("news", text, np.datetime64("2020-10-14T09:00:00")) for text in words)
    event = Event("earnings", np.datetime64("2020-10-27"), np.datetime64("2020-10-01T00:00:00"))
    close = np.array([100.0, 110.0, 99.0])
    bars = {"open": close * 0.99, "high": close * 1.02, "low": close * 0.97, "volume": np.array([1.0, 2.0, 3.0])}
    return MarketData("ON", DAYS, close, texts=texts, events=(event,), **bars)


def words(of: MarketData) -> list[str]:
    return [text.text for text in of.texts]


def test_mirrored_prices_fall_by_what_they_rose() -> None:
    own, other = market("ON rises."), mirrored(market("ON rises."))
    np.testing.assert_allclose(np.diff(np.log(other.close)), -np.diff(np.log(own.close)))
    np.testing.assert_allclose(np.log(other.open / other.close), -np.log(own.open / own.close))
    assert (other.high >= np.maximum(other.open, other.close)).all()
    assert (other.low <= np.minimum(other.open, other.close)).all()
    assert words(other) == words(own) and np.array_equal(other.dates, own.dates)
    (beside,) = mirrored(replace(own, context=(own,))).context
    np.testing.assert_allclose(beside.close, other.close)
    np.testing.assert_allclose(mirrored(other).close, own.close)


def test_moved_days_keep_their_weekday_and_everything_moves_with_them() -> None:
    own, other = market("In 2020 it paid $2020."), redated(market("In 2020 it paid $2020."))
    assert (other.dates - own.dates == np.timedelta64(3640, "D")).all() and 3640 % 7 == 0
    assert other.texts[0].known_at - own.texts[0].known_at == np.timedelta64(3640, "D")
    assert other.events[0].date - own.events[0].date == np.timedelta64(3640, "D")
    assert words(other) == ["In 2030 it paid $2020."] and np.array_equal(other.close, own.close)


def test_a_name_is_replaced_as_a_whole_and_a_symbol_only_where_it_is_one() -> None:
    own = market("On Monday ON and $on rose; Onsemi's ONE plant. ON Semiconductor said so.", "ON")
    other = renamed(own, "ZZZ", {"onsemi": "Zeta", "ON Semiconductor": "Zeta Corp"})
    assert words(other) == ["On Monday ZZZ and $ZZZ rose; Zeta's ONE plant. Zeta Corp said so.", "ZZZ"]
    assert other.symbol == "ZZZ" and np.array_equal(other.close, own.close)
    assert renamed(replace(own, symbol="earnings"), "ZZZ", {}).events[0].name == "ZZZ"


@pytest.mark.parametrize(
    ("symbol", "written", "anonymous"),
    [
        ("AAPL", "rt AT_USER : aapl up , #aapl , $ aapl", "rt AT_USER : STOCK up , #STOCK , $ STOCK"),
        ("T", "AT&T rose; a T bill; $T (NYSE: T)", "AT&T rose; a T bill; $STOCK (NYSE: STOCK)"),
        ("ON", "ON and on; $on", "STOCK and on; $STOCK"),
    ],
)
def test_how_a_symbol_may_be_written(symbol, written, anonymous) -> None:
    found = anonymised(replace(market(written), symbol=symbol), ())
    assert words(found) == [anonymous] or symbol == "T" and words(found)[0].startswith(anonymous[:27])


def test_nothing_beside_a_company_tells_which_it_is() -> None:
    event = Event("ON Semi earnings of October 27, 2020", np.datetime64("2020-10-27"), np.datetime64("2020-10-01"))
    beside = replace(market("a text"), symbol="QQQ")
    found = anonymised(replace(market("x"), events=(event,), context=(beside,)), ["ON Semi"])
    assert found.events[0].name == "the company earnings of day+0"
    assert found.context[0].symbol != "QQQ" and not found.context[0].texts


def test_the_day_of_a_text_that_is_known_after_midnight_is_the_one_before() -> None:
    late = DatedText("news", "on 2020-10-14 in 2020", np.datetime64("2020-10-15T00:00:01"))
    assert words(anonymised(replace(market(), texts=(late,)), ())) == ["on day+0 in year+0"]


@pytest.mark.parametrize(
    ("written", "anonymous"),
    [
        ("On 2020-10-11 it", "On day-3 it"),
        ("on October 16, 2020, it", "on day+2, it"),
        ("on 1st Oct. 2020 it", "on day-13 it"),
        ("in Sept 2019 it", "in month-13 it"),
        ("fiscal 2021 and 2020", "fiscal year+1 and year+0"),
        ("on February 30, 2020 it", "on a day it"),
        ("on January 5 and 5/14/2014", "on day+83 and day-2345"),
        ("since 31 December it", "since day+78 it"),
        ("$12020 and 20201 and Q3", "$12020 and 20201 and Q3"),
        ("the smartphone market 2015", "the smartphone market year-5"),
        ("a decision 2016, maybe; $2020", "a decision year-4, maybe; $2020"),
        ("it costs $5 and $ 12", "it costs $5 and $ 12"),
    ],
)
def test_dates_become_distances_from_the_text_s_day(written, anonymous) -> None:
    assert words(anonymised(market(written), ())) == [anonymous]


def test_tickers_and_names_become_stand_ins_the_same_each_time() -> None:
    own = market("ON Semi ($ON) and $aapl, $AAPL, (NASDAQ: AAPL) and (NYSE:F) met Apple. $ on fell.")
    (text,) = words(anonymised(own, ["ON Semi"]))
    other = text.split("$")[2][:5]
    assert text.startswith(f"the company ($STOCK) and ${other}, ${other}, (NASDAQ: {other}) and (NYSE:Q")
    assert text.endswith("met Apple. $ STOCK fell.") and "AAPL" not in text.upper() and "ON " not in text


@given(st.text(max_size=200))
def test_any_text_can_be_anonymised_and_no_year_or_symbol_is_left(text: str) -> None:
    (found,) = words(anonymised(market(f"{text} ON in 2020."), ()))
    assert found.endswith("STOCK in year+0.")


def test_alterations_are_chosen_by_word() -> None:
    own = market("ON Semi rises.")
    assert altered(own, "prices").close[1] < 100 and altered(own, "dates").dates[0] > own.dates[0]
    other = altered(own, "entities", ["ON Semi"])
    assert other.symbol not in ("ON", "") and words(other) == [f"{name_stand_in('ON Semi')} rises."]
    with pytest.raises(ValueError, match="choose one of prices, dates, entities"):
        altered(own, "names")
