"""What a live policy is shown: what training would have shown, and nothing before its time."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.live_parity import Once
from flag_trl.accounts import Signed
from flag_trl.data import DataError, DatedText, Event, MarketData
from flag_trl.data.market import WHOLE_DAY
from flag_trl.live.events import ClockTick, PriceBar, Quote
from flag_trl.live.feed import ReplayFeed, moments_of, quotes_of
from flag_trl.live.tape import Tape, head_of, history_rows, market_of
from flag_trl.observations import ObservationConfig
from tests.live.conftest import Listed
from tests.live.policies import EVERYTHING, Moody


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
def test_changing_everything_later_changes_no_earlier_observation(game, noisy, fill):
    market, bar = noisy(), 45
    moment = market.dates[bar].astype("datetime64[s]") + market.decided_after(fill == "next_open")
    played = game(Moody(EVERYTHING), {"AAA": market}, fill=fill, name="one")
    played.play()
    later = np.arange(len(market)) > bar
    changed = {
        name: np.where(later, getattr(market, name) * 1.1, getattr(market, name))
        for name in ("open", "high", "low", "close")
    }
    texts = [text if text.known_at <= moment else replace(text, text="AAA was sold.") for text in market.texts]
    other = game(Moody(EVERYTHING), {"AAA": replace(market, texts=tuple(texts), **changed)}, fill=fill, name="two")
    other.play()
    until = moment.astype("datetime64[ns]").astype(int) + 1
    known = [[(row["ts"], row["observation"]) for row in one.journal.rows("decisions")] for one in (played, other)]
    early = [[pair for pair in pairs if pair[0] <= until] for pairs in known]
    assert len(early[0]) == bar - 30 + 1 and early[0] == early[1]
    assert known[0] != known[1]


def test_news_of_the_evening_are_for_the_next_close_and_for_the_next_open(game):
    dates = np.datetime64("2020-01-01") + np.arange(6)
    evening = DatedText("news", "AAA won a prize.", dates[3].astype("datetime64[s]") + np.timedelta64(20, "h"))
    market = MarketData("AAA", dates, np.full(6, 10.0), open=np.full(6, 10.0), texts=(evening,))
    shown = {}
    for fill in ("same_close", "next_open"):
        config = ObservationConfig(past_returns=0, indicators=[], news_items=1, news_budget=100)
        played = game(Moody(config), {"AAA": market}, 1, fill=fill, name=fill)
        played.play()
        shown[fill] = ["prize" in text for text in played.column("decisions", "market_text")]
    assert shown == {"same_close": [False, False, False, True], "next_open": [False, False, True, False]}


def test_an_index_and_events_are_seen_as_in_training(game, noisy):
    from flag_trl.backtest import run_backtest
    from flag_trl.data import Period
    from flag_trl.envs import TradingRules

    index = replace(noisy("IDX"), texts=())
    event = Event("earnings", np.datetime64("2020-03-02"), np.datetime64("2020-02-20T00:00:00"))
    market = replace(noisy("AAA"), context=(index,), events=(event,))
    config = ObservationConfig(past_returns=1, indicators=[], context=True, next_event=True)
    policy = Once(Moody(config))
    played = game(policy, {"AAA": market}, scheme=Signed())
    played.play()
    policy.closed = True
    period = Period("same", market.dates[30], market.dates[-1])
    run_backtest(policy, {"AAA": market}, [period], TradingRules(scheme=Signed(), fill="same_close", lot_size=1.0))
    texts = "\n".join(played.column("decisions", "market_text"))
    assert "IDX" in texts and "earnings in 5 days" in texts


def test_decisions_once_a_week_hold_in_between(game, noisy):
    played = game(Moody(), {"AAA": noisy(n=61)}, decide_every=5)
    played.play()
    assert np.diff(played.column("decisions", "bar")).tolist() == [5] * 5
    assert set(played.column("orders", "ts")) <= set(played.column("decisions", "ts"))


def test_minute_bars_are_decided_on_at_their_close(game):
    minutes = np.datetime64("2020-01-02T09:31:00") + np.arange(60) * np.timedelta64(60, "s")
    close = 100 + np.cumsum(np.random.default_rng(0).normal(0, 0.05, 60))
    market = MarketData("AAA", minutes, close, open=close, periods_per_year=252 * 390)
    for fill in ("same_close", "next_open"):
        played = game(Moody(), {"AAA": market}, 20, fill=fill, name=fill)
        played.play()
        decided = played.column("decisions", "ts").astype("datetime64[ns]")
        np.testing.assert_array_equal(decided, minutes[20:-1].astype("datetime64[ns]") + np.timedelta64(1, "ns"))
        filled = played.column("fills", "ts") - played.column("orders", "ts")
        assert len(filled) > 5
        orders = dict(zip(played.column("orders", "id"), played.column("orders", "ts"), strict=True))
        if fill == "next_open":
            # A second after the bar before: the first price of the next.
            assert all((ts - 1_000_000_000) % 60_000_000_000 == 0 for ts in orders.values())


def test_a_bars_prices_come_in_order_the_nearer_extreme_first():
    bar = PriceBar("AAA", 1000, 10.5, open=10.0, high=11.0, low=9.8, volume=5.0, opened=400)
    assert [(q.ts, q.price) for q in quotes_of(bar, opening=True)] == [
        (400, 10.0),
        (600, 9.8),
        (800, 11.0),
        (1000, 10.5),
    ]
    assert [q.price for q in quotes_of(bar, opening=False)] == [10.5]
    assert [q.price for q in quotes_of(PriceBar("AAA", 1000, 10.5), opening=True)] == [10.5]


def test_a_bar_from_anywhere_becomes_moments():
    bar = PriceBar("AAA", 1000, 10.5, open=10.0, high=11.0, low=9.8, opened=400)
    moments = list(moments_of([bar]))
    kinds = [[type(h) for h in moment] for moment in moments]
    assert kinds == [[Quote], [Quote], [Quote], [Quote, PriceBar], [ClockTick]]
    assert [moment[0].ts for moment in moments] == [400, 600, 800, 1000, 1001]


def test_bars_of_one_close_are_one_moment_with_one_tick():
    bars = [PriceBar(symbol, 1000, 10.5, open=10.0, opened=400) for symbol in ("BBB", "AAA")]
    found = list(moments_of(bars))
    assert [moment[0].ts for moment in found] == [400, 1000, 1001]
    assert [getattr(h, "symbol", "") for h in found[1]] == ["AAA", "BBB", "AAA", "BBB"] and len(found[2]) == 1


def test_a_market_comes_back_from_its_rows(noisy):
    market = replace(
        noisy(), events=(Event("split", np.datetime64("2020-02-03"), np.datetime64("2020-02-01T00:00:00")),)
    )
    rows = history_rows({"AAA": market})
    back = market_of("AAA", head_of(market), rows["bars"], rows["news"])
    for name in ("dates", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(back, name), getattr(market, name))
    assert back.texts == market.texts and back.events == market.events


def test_a_tape_knows_the_columns_that_its_history_has(noisy):
    tape = Tape(replace(noisy(n=30), volume=None))
    taken = tape.add_bar(PriceBar("AAA", 1_600_000_000_000_000_000, 5.0, 5.0, 6.0, 4.0, 9.0))
    assert taken.volume is None and tape.market().volume is None and tape.market().high[-1] == 6.0


def test_there_must_be_a_past(noisy):
    market = noisy()
    with pytest.raises(ValueError, match="start later"):
        ReplayFeed.of_period({"AAA": market}, market.dates[0], market.dates[-1], "same_close").history()


def test_opens_are_needed_to_fill_at_them(noisy):
    market = replace(noisy(), open=None)
    with pytest.raises(DataError, match="AAA has closes but no opens"):
        ReplayFeed.of_period({"AAA": market}, market.dates[30], market.dates[-1], "next_open")


def test_a_market_beside_adds_no_bar_to_the_account(game, noisy):
    index = MarketData("IDX", np.datetime64("2020-01-01") + np.arange(90), np.full(90, 5.0), session_close=WHOLE_DAY)
    config = ObservationConfig(past_returns=1, indicators=[], context=True)
    played = game(Moody(config), {"AAA": replace(noisy(), context=(index,))})
    played.play()
    assert played.column("totals", "ts").tolist() == played.column("accounts", "ts").tolist()
    assert len(played.column("decisions", "ts")) == 29


def test_an_empty_feed_ends_at_once(game, noisy):
    assert game(Moody(), {"AAA": noisy()}).play(Listed([])).equity == 100_000.0
