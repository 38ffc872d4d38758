"""Events are known when they are decided on, positions earn what prices did, and days count once."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from eval.events import events_of
from eval.tasks import events
from flag_trl.data import DatedText, Event, MarketData, Period
from tests.eval.policies import AlwaysLong, Reader

YEARS = [Period("years", "2012-01-03", "2016-12-30")]


def market(
    jump_at: int = 100, n: int = 160, texts: tuple[DatedText, ...] = (), scheduled: tuple[Event, ...] = ()
) -> MarketData:
    rng = np.random.default_rng(0)
    moves = rng.normal(0, 0.005, n)
    moves[jump_at] = 0.08
    dates = np.datetime64("2020-01-01") + np.arange(n)
    return MarketData("AAA", dates, 100 * np.exp(np.cumsum(moves)), texts=texts, events=scheduled)


def test_a_jump_a_burst_a_filing_and_a_scheduled_day_are_events() -> None:
    day = np.datetime64("2020-01-01") + 120
    burst = [DatedText("news", f"item {k}", day.astype("datetime64[s]") + np.timedelta64(10, "h")) for k in range(6)]
    filing = DatedText("10q", "results", (day + 5).astype("datetime64[s]"))
    earnings = Event("earnings", day + 10, day.astype("datetime64[s]"))
    found = events_of("AAA", market(texts=(*burst, filing), scheduled=(earnings,)), 0, 160, after_close=False)
    kinds = {(event.bar, event.kind) for event in found}
    assert kinds >= {(100, "return"), (120, "news"), (125, "filing"), (130, "scheduled")}
    assert not {kind for bar, kind in kinds if kind != "return"} - {"news", "filing", "scheduled"}


def test_news_after_the_close_are_an_event_of_the_next_bar_for_who_trades_at_the_close() -> None:
    evening = (np.datetime64("2020-01-01") + 120).astype("datetime64[s]") + np.timedelta64(20, "h")
    texts = tuple(DatedText("news", f"item {k}", evening) for k in range(6))
    at_close, at_open = (
        {e.bar for e in events_of("AAA", market(texts=texts), 0, 160, after_close) if e.kind == "news"}
        for after_close in (False, True)
    )
    assert at_close == {121} and at_open == {120}


def test_always_long_earns_the_move_and_long_and_short_mirror_each_other_before_costs(evaluation, prices) -> None:
    given = evaluation(
        ("MSFT", "JNJ", "XOM"), policies={"trained": AlwaysLong(), "untrained": Reader()}, periods=YEARS
    )
    result = events.run(given)
    table, figures = result.tables["events"], result.figures
    assert figures["events"] == len(table) > 5 and figures["kinds"]["return"] == len(table)
    row = table.iloc[0]
    close = prices[row["symbol"]].close
    assert row["return"] == pytest.approx(close[row["bar"] + 5] / close[row["bar"]] - 1)
    own, long = figures["strategies"]["trained"], figures["strategies"]["always long"]
    assert own["mean_bp"] == long["mean_bp"]
    assert own["mean_bp"][0] == pytest.approx(1e4 * table["return"].mean() - 10)
    assert figures["trained_less"]["always long"]["difference"] == 0


def test_the_correlation_is_scikit_learns_and_small_moves_are_left_out() -> None:
    rng = np.random.default_rng(1)
    moves = rng.normal(0, 0.01, 300)
    position = np.where(rng.random(300) < 0.6, np.sign(moves), -np.sign(moves))
    labelled = (moves >= 0.0055) | (moves <= -0.005)
    assert events.mcc(position, moves) == pytest.approx(matthews_corrcoef(moves[labelled] > 0, position[labelled] > 0))
    assert events.mcc(np.ones(3), np.array([0.01, 0.02, 0.001])) is None


def test_what_the_market_explains_is_no_abnormal_return(evaluation) -> None:
    rng = np.random.default_rng(2)
    index, days = rng.normal(0.0002, 0.01, 400), np.datetime64("2019-01-01") + np.arange(400)
    moves = 1.2 * index + rng.normal(0, 0.0005, 400)
    moves[[180, 345]] += 0.1  # Each outside the days that the other is judged by.
    beside = MarketData("IDX", days, 100 * np.cumprod(1 + index))
    stock = MarketData("AAA", days, 100 * np.cumprod(1 + moves), context=(beside,))
    whole = [Period("whole", days[150], days[390])]
    given = evaluation(markets={"AAA": stock}, policies={"trained": AlwaysLong()}, periods=whole)
    table = events.run(given).tables["events"].query("kind == 'return'")
    assert len(table) == 2 and table["return"].abs().max() > 0.01
    np.testing.assert_allclose(table["abnormal"], 0, atol=0.004)
