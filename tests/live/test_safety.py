"""Each limit, tripped; and bad data, on which nothing is traded and by which nothing is lost."""

import math
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flag_trl.accounts import AllIn, Costs, Signed
from flag_trl.data import MarketData
from flag_trl.live import Exchange, Limits, Orders, summary
from flag_trl.live.asking import Answer
from flag_trl.live.events import ClockTick, Halt, PriceBar, Quote
from flag_trl.live.gate import Gate
from flag_trl.live.guard import Guard, TargetPosition
from flag_trl.live.run import Pace, StopSwitch
from tests.live.conftest import FINE, Listed
from tests.live.policies import Broken, Fixed, Moody, Slow
from tests.live.test_exchange import BUY, HOLD, SELL, bars

DAY_NS = 86_400_000_000_000
CLOSE_NS = 16 * 3_600_000_000_000
START = np.datetime64("2020-01-02", "ns").astype(int)


def target(held=0.0, wanted=10.0, price=10.0, equity=100.0, age_s=0.0) -> TargetPosition:
    return TargetPosition("AAA", held, wanted, price, equity, age_s)


@pytest.mark.parametrize(
    ("limits", "asked", "units", "named"),
    [
        (Limits(max_position=0.5), target(), 0.0, "max_position"),
        (Limits(max_position=0.5), target(held=8.0, wanted=6.0), 6.0, None),
        (Limits(max_order=0.5), target(), 0.0, "max_order"),
        (Limits(max_order=0.5), target(held=-4.0, wanted=4.0), 0.0, "max_order"),
        (Limits(max_order=0.5), target(held=10.0, wanted=0.0), 0.0, None),
        (Limits(max_turnover=0.5), target(), 0.0, "max_turnover"),
        (Limits(max_age_s=60.0), target(age_s=61.0), 0.0, "max_age_s"),
        (Limits(max_age_s=60.0), target(held=10.0, wanted=0.0, age_s=61.0), 10.0, "max_age_s"),
        (Limits(), target(equity=-5.0), 0.0, "equity"),
        (Limits(), target(), 10.0, None),
    ],
)
def test_a_target_is_granted_cut_or_refused_by_the_limit_that_is_named(limits, asked, units, named):
    allowed, why = Guard(limits, 100.0).judge(asked)
    assert allowed == units
    assert (why is None) == (named is None) and (named or "") in (why or "")


def test_after_a_days_loss_nothing_is_added_until_the_next_day():
    guard = Guard(Limits(max_loss=0.05), 100.0)
    guard.marked("monday", 100.0)
    guard.marked("tuesday", 94.0)
    assert guard.judge(target())[0] == 0.0
    assert guard.judge(target(held=10.0, wanted=5.0))[0] == 5.0
    assert guard.judge(target(held=10.0, wanted=-10.0))[0] == 0.0
    guard.new_day("wednesday")
    assert guard.judge(target())[0] == 10.0


def test_turnover_is_counted_by_the_day():
    guard = Guard(Limits(max_turnover=1.0), 100.0)
    guard.marked("monday", 100.0)
    guard.traded(-60.0)
    assert "max_turnover" in guard.judge(target(wanted=5.0))[1]
    assert guard.headroom["max_turnover"] == (0.6, 1.0)
    guard.new_day("tuesday")
    assert guard.judge(target(wanted=5.0))[1] is None


def test_limits_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="max_loss: -1"):
        Limits(max_loss=-1)
    with pytest.raises(ValueError, match="max_drawdown: nan"):
        Limits(max_drawdown=math.nan)
    with pytest.raises(ValueError, match="choose one of flatten, hold"):
        Limits(at_stop="panic")


# In a run.


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (Limits(max_position=0.4), "max_position"),
        (Limits(max_order=0.4), "max_order"),
        (Limits(max_turnover=0.4), "max_turnover"),
        (Limits(max_age_s=0.0), "max_age_s"),
    ],
)
def test_an_order_beyond_a_limit_is_not_sent(game, limits, named):
    played = game(Fixed([BUY]), {"AAA": bars([100.0] * 5)}, 1, limits=limits)
    played.play()
    assert played.column("orders", "id").tolist() == []
    assert all(named in text for text in played.notices("limit")) and len(played.notices("limit")) == 3


def test_a_days_loss_stops_what_adds_and_the_next_day_it_may(game):
    market = bars([100, 100, 90, 90, 90, 90])
    played = game(Fixed([BUY, SELL, BUY, HOLD]), {"AAA": market}, 1, scheme=Signed(), limits=Limits(max_loss=0.05))
    played.play()
    # From long to short is cut to flat on the day of the loss.
    assert played.column("accounts", "units").tolist() == [0.0, 1000.0, 0.0, 1000.0, 0.0]
    assert "max_loss" in played.notices("limit")[0]


@pytest.mark.parametrize("at_stop", ["flatten", "hold"])
def test_a_drawdown_stops_the_run(game, at_stop):
    market = bars([100, 100, 100, 80, 80, 80])
    limits = Limits(max_drawdown=0.15, at_stop=at_stop)
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, limits=limits)
    assert "max_drawdown" in played.play().how
    assert played.column("accounts", "units").tolist()[-1] == (0.0 if at_stop == "flatten" else 1000.0)
    assert len(played.column("decisions", "ts")) == 2


PATIENCE_S = 3.0
"""Seconds in which a policy that answers at once has surely answered."""


def test_a_late_answer_lets_the_bar_pass_and_a_later_one_counts(game, noisy):
    policy = Slow(on=[2])
    played = game(policy, {"AAA": noisy(n=38)}, limits=Limits(answer_within_s=PATIENCE_S, max_failures=1))

    def tell(ts: int) -> None:
        if "late" in played.column("decisions", "status"):
            policy.go_on.set()
            time.sleep(0.2)

    assert played.play(on_moment=tell).how == "ended"
    status = played.column("decisions", "status").tolist()
    assert status[:2] == ["ok", "late"] and status[-1] == "ok"
    late = [row for row in played.journal.rows("decisions") if row["status"] == "late"]
    assert all(row["probabilities"] is None and row["action"] is None for row in late)
    ordered = set(played.column("orders", "ts").tolist())
    assert not ordered & {row["ts"] for row in late}
    assert f"no answer within {PATIENCE_S:g} s" in played.notices("late")[0]


def test_a_policy_that_never_answers_does_not_hold_the_run_up(game, noisy):
    silent = Slow(on=[1])
    played = game(silent, {"AAA": noisy(n=40)}, limits=Limits(answer_within_s=0.05))
    assert played.play().how == "ended"
    assert set(played.column("decisions", "status")) == {"late"} and silent.asked == 1


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("nan", "not numbers"),
        ("raise", "RuntimeError: out of memory"),
        ("illegal", "cannot execute"),
        ("sum", "do not sum to one"),
        ("negative", "do not sum to one"),
        ("nothing", "it is a NoneType"),
        ("outside", "cannot execute"),
        ("shape", "its actions have shape"),
        ("fraction", "type float64"),
    ],
)
def test_an_answer_that_is_none_lets_the_bar_pass(game, noisy, how, why):
    played = game(Broken([2, 3, 5], how), {"AAA": noisy(n=40)})
    assert played.play().how == "ended"
    status = played.column("decisions", "status").tolist()
    assert [place for place, word in enumerate(status, 1) if word == "failed"] == [2, 3, 5]
    assert all(why in text for text in played.notices("failed"))
    failed = {row["ts"] for row in played.journal.rows("decisions") if row["status"] == "failed"}
    assert not failed & set(played.column("orders", "ts").tolist())


def test_three_failures_in_a_row_stop_the_run_and_flatten(game, noisy):
    played = game(Broken([4, 5, 6]), {"AAA": noisy(n=60)}, limits=Limits(at_stop="flatten"))
    assert "max_failures: the policy failed 3 times in a row" in played.play().how
    assert len(played.column("decisions", "ts")) == 6
    assert played.column("accounts", "units").tolist()[-1] == 0.0


def test_late_answers_neither_count_as_failures_nor_forgive_them(game, noisy):
    answers = iter(["failed", "failed", "late", "failed", "ok"])
    played = game(Moody(), {"AAA": noisy(n=60)}, limits=Limits(max_failures=3))
    asking = played.run.strategy.deciding._asking
    asking.ask = lambda observations, uniforms: Answer(next(answers), None, "made up", 0.0)
    assert "max_failures" in played.play().how
    assert played.column("decisions", "status").tolist() == ["failed", "failed", "late", "failed"]


# The operator.


@pytest.mark.parametrize("at_stop", ["flatten", "hold"])
def test_a_signal_stops_in_order(game, at_stop):
    market = bars([100.0] * 400)
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, limits=Limits(at_stop=at_stop))
    switch = StopSwitch()

    def tell(ts: int) -> None:
        if len(played.column("fills", "id")) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with switch.on_signals():
        outcome = played.play(switch=switch, on_moment=tell)
    assert outcome.how == "stopped: signal SIGTERM"
    assert played.run.strategy.books.units("AAA") == (0.0 if at_stop == "flatten" else 1000.0)
    assert played.column("inputs", "what").tolist() == ["stop"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_a_stop_costs_is_in_the_figures_of_the_run(game):
    market, seen = bars([100.0, 100.0, 110.0, 110.0, 110.0]), []
    limits = Limits(at_stop="flatten")
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, limits=limits, costs=Costs(commission_bps=100.0))
    switch = StopSwitch()

    def tell(ts: int) -> None:
        seen.append(len(played.column("totals", "ts")))
        if seen[-1] == 3:
            switch.stop("enough")

    outcome, found = played.play(switch=switch, on_moment=tell), summary(played.journal)
    units = played.column("accounts", "units").max()
    assert outcome.equity == pytest.approx(100_000 + units * (10 - 0.01 * 100 - 0.01 * 110), abs=1e-6)
    assert found.cumulative == pytest.approx((outcome.equity / 100_000 - 1) * 100)
    assert found.bars == 2 and played.column("totals", "engine_equity")[-1] == pytest.approx(outcome.equity)


def test_open_orders_are_cancelled_by_a_stop(game):
    market = bars([100.0] * 5, open=[100.0] * 5, high=[100.0] * 5, low=[100.0] * 5)
    played = game(Fixed([BUY]), {"AAA": market}, 1, fill="next_open", orders=Orders("limit", limit_bps=-500))
    switch = StopSwitch()

    def tell(ts: int) -> None:
        if "accepted" in played.column("order_events", "what"):
            switch.stop("enough")

    played.play(switch=switch, on_moment=tell)
    assert played.column("order_events", "what").tolist() == ["accepted", "canceled"]
    assert played.run.engine.cache.orders_open() == []


def test_a_stop_wakes_a_run_that_waits_for_its_clock(game):
    played = game(Moody(), {"AAA": bars([100.0] * 5)}, 1)
    switch = StopSwitch()
    threading.Timer(0.3, switch.stop, ["enough"]).start()
    assert played.play(pace=Pace(speed=1.0), switch=switch).how == "stopped: enough"


def test_a_closing_order_that_is_rejected_is_sent_again_at_the_next_price(game):
    market = bars([100, 100, 100, *[80] * 30])
    limits, exchange = Limits(max_drawdown=0.15, at_stop="flatten"), Exchange(reject_rate=0.5, seed=3)
    played = game(Fixed([BUY, BUY, HOLD]), {"AAA": market}, 1, limits=limits, exchange=exchange)
    played.play()
    assert 1000.0 in played.column("accounts", "units") and len(played.notices("rejected")) > 0
    assert played.run.strategy.books.units("AAA") == 0.0


@pytest.mark.parametrize("force", ["fok", "ioc", "day"])
def test_what_can_be_had_bounds_a_closing_order_too_and_it_is_sent_once_a_price(game, force):
    market = bars([100] * 3 + [80] * 12, volume=[100_000] * 3 + [2_000] * 12)
    settings = {"limits": Limits(max_drawdown=0.15, at_stop="flatten"), "exchange": Exchange(participation=0.1)}
    orders = Orders(time_in_force=force)
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, orders=orders, **settings)
    played.play()
    # At the price that broke the limit, and at each one after it.
    units = played.column("accounts", "units").tolist()
    assert units[:8] == [0.0, 1000.0, 1000.0, 600.0, 400.0, 200.0, 0.0, 0.0]
    assert len(played.column("orders", "id")) == 6


@pytest.mark.parametrize("limit_bps", [50.0, -50.0])
def test_an_order_on_its_way_does_not_outlive_a_stop(game, limit_bps):
    columns = {name: [100] * 8 for name in ("open", "high", "low")}
    played = game(
        Fixed([BUY, HOLD]),
        {"AAA": bars([100] * 8, **columns)},
        1,
        fill="next_open",
        orders=Orders("limit", limit_bps=limit_bps),
        limits=Limits(at_stop="flatten"),
        exchange=Exchange(latency_ms=1000.0),
    )
    switch = StopSwitch()

    def tell(ts: int) -> None:
        if len(played.column("orders", "id")):
            switch.stop("enough")

    played.play(switch=switch, on_moment=tell)
    assert played.run.strategy.books.units("AAA") == 0.0 and played.run.engine.cache.orders_open() == []
    assert played.column("order_events", "why").tolist() == ["before it arrived"]


def test_what_is_halted_is_closed_when_it_trades_again(game):
    market = bars([100, 100, 100, *[80] * 8])
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, limits=Limits(max_drawdown=0.15, at_stop="flatten"))
    moments = list(played.feed.moments())
    fed = [*moments[:3], [Halt("AAA", moments[3][0].ts, True)], *moments[3:9]]
    fed += [[Halt("AAA", moments[9][0].ts, False)], *moments[9:]]
    played.play(Listed(fed))
    assert "1000 units" in played.notices("still held")[0]
    units = played.column("accounts", "units").tolist()
    assert units[4] == 1000.0 and units[-1] == 0.0


def test_a_position_whose_price_is_not_believed_is_not_closed_at_an_old_one(game):
    market = bars([100.0] * 3 + [30.0] * 5)
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, limits=Limits(max_jump=0.4, at_stop="flatten"))
    switch = StopSwitch()

    def tell(ts: int) -> None:
        if len(played.notices("refused")) > 4:
            switch.stop("enough")

    played.play(switch=switch, on_moment=tell)
    assert played.run.strategy.books.units("AAA") == 1000.0 and len(played.column("fills", "id")) == 1
    assert "price is not believed" in played.notices("still held")[0]


# Bad data.


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (PriceBar("AAA", 5, math.nan), "close is nan"),
        (PriceBar("AAA", 5, 0.0), "close is 0.0"),
        (PriceBar("AAA", 5, -3.0), "close is -3.0"),
        (PriceBar("AAA", 5, math.inf), "close is inf"),
        (PriceBar("AAA", 5, 1e12), "close is 1"),
        (PriceBar("AAA", 5, 50.0), "-50% from the last close"),
        (PriceBar("AAA", 5, 100.0, open=200.0), "open 200 is"),
        (PriceBar("AAA", 5, 100.0, high=99.0), "do not enclose"),
        (PriceBar("AAA", 5, 100.0, volume=-1.0), "volume is -1.0"),
        (PriceBar("AAA", 5, 100.0, volume=math.nan), "volume is nan"),
        (PriceBar("BBB", 5, 100.0), "nobody asked for BBB"),
        (Quote("AAA", 5, math.nan), "price is nan"),
        (PriceBar("AAA", 1, 100.0), "the clock ran backwards"),
        (ClockTick(1), "the clock ran backwards"),
    ],
)
def test_what_is_not_believed_is_named(event, why):
    gate = Gate({"AAA": 100.0}, max_jump=0.4)
    assert gate.refusal(PriceBar("AAA", 2, 100.0)) is None
    assert why in gate.refusal(event)
    assert gate.refusal(PriceBar("AAA", 6, 101.0)) is None


def test_a_second_bar_of_a_moment_is_not_believed():
    gate = Gate({"AAA": 100.0}, max_jump=0.4)
    assert gate.refusal(PriceBar("AAA", 2, 100.0)) is None
    assert gate.refusal(PriceBar("AAA", 2, 100.0)) == "there was a bar of this moment already"


def test_after_a_split_the_symbol_rests_at_its_last_price(game):
    market = bars([100.0] * 4 + [25.0] * 4)
    other = replace(bars([50.0] * 8), symbol="BBB")
    played = game(Fixed([BUY, HOLD]), {"AAA": market, "BBB": other}, 1, limits=Limits(max_jump=0.4))
    played.play()
    np.testing.assert_allclose(played.column("totals", "equity"), 100_000.0)
    assert len(played.notices("refused")) == 8 and "-75% from the last close" in played.notices("refused")[0]
    assert played.run.strategy.books.units("AAA") == 500.0
    assert set(played.column("orders", "symbol")) == {"AAA", "BBB"} and len(played.column("orders", "id")) == 2


def test_a_halted_symbol_is_not_traded_until_it_trades_again(game):
    dates = np.datetime64("2020-01-01") + np.arange(8)
    market = MarketData("AAA", dates, np.full(8, 100.0))
    played = game(Moody(), {"AAA": market}, 1)
    moments, halts = list(played.feed.moments()), {2: True, 5: False}
    fed = []
    for place, moment in enumerate(moments):
        ts = moment[0].ts
        fed += [[Halt("AAA", ts, halts[place])]] if place in halts else []
        fed.append(moment)
    played.play(Listed(fed))
    begun, ended = moments[2][0].ts, moments[5][0].ts
    assert all(not begun <= ts < ended for ts in played.column("decisions", "ts"))
    assert len(played.column("decisions", "ts")) > 2 and "the exchange has halted it" in played.notices("halt")[0]


PRICES = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-12, 1e12, 5e13, 1e300, 12.5, 400.0])
SPOILS = st.lists(
    st.tuples(
        st.integers(0, 39), st.sampled_from(["price", "gap", "twice", "late", "volume", "halt", "split"]), PRICES
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoils=SPOILS, seed=st.integers(0, 5))
def test_whatever_the_feed_does_nothing_is_traded_on_bad_data_and_nothing_is_lost(
    noisy, tmp_path_factory, spoils, seed
):
    from flag_trl.live import LiveSettings
    from tests.live.conftest import Game

    market = noisy("AAA", n=70, seed=seed)
    chosen = LiveSettings(scheme=Signed(), fill="same_close", exchange=FINE, limits=Limits(max_jump=0.4))
    played = Game(Moody(), {"AAA": market}, tmp_path_factory.mktemp("fuzz"), 30, chosen, live=False)
    try:
        moments = _spoilt(list(played.feed.moments()), spoils)
        assert played.play(Listed(moments)).how == "ended"
        closes = {row["ts"]: row["close"] for row in played.journal.rows("bars", "history = 0")}
        true = dict(zip(market.dates.astype("datetime64[ns]").astype(int) + CLOSE_NS, market.close, strict=True))
        prices = np.array(sorted(closes.values()))
        assert np.isfinite(prices).all() and (prices > 0).all()
        cash, units = 100_000.0, 0.0
        for row in played.journal.rows("fills", order="ts"):
            # Every fill is at the close of a bar that was believed, a nanosecond after it.
            assert row["price"] == pytest.approx(closes[row["ts"] - 1], rel=1e-7)
            sign = 1 if row["side"] == "buy" else -1
            cash, units = cash - sign * row["quantity"] * row["price"], units + sign * row["quantity"]
        books = played.run.strategy.books
        assert books.cash("AAA") == pytest.approx(cash, rel=1e-9) and books.units("AAA") == units
        totals = list(played.journal.rows("totals"))
        for row in totals:
            assert math.isfinite(row["equity"]) and row["engine_equity"] == pytest.approx(row["equity"], rel=1e-6)
        assert all(abs(close / true[ts] - 1) < 0.5 for ts, close in closes.items() if ts in true)
        assert not played.notices("stop")
    finally:
        played.close()


def _spoilt(moments, spoils):
    """The feed with gaps, repetitions, moments out of order, prices that are none, halts and a split."""
    fed = [list(moment) for moment in moments]
    bar_places = [place for place, moment in enumerate(fed) if any(isinstance(h, PriceBar) for h in moment)]
    extra = []
    for number, what, price in spoils:
        place = bar_places[number % len(bar_places)]
        moment = fed[place]
        if what == "gap":
            moment.clear()
        elif what == "twice":
            extra.append((place + 1, list(moment)))
        elif what == "late":
            extra.append((min(place + 5, len(fed)), list(moment)))
        elif what == "halt":
            extra += [(place, [Halt("AAA", moments[place][0].ts, True)])]
            later = min(place + 6, len(moments) - 1)
            extra += [(later, [Halt("AAA", moments[later][0].ts, False)])]
        elif what == "split":
            for after in range(place, len(fed)):
                fed[after] = [_scaled(h, 0.1) for h in fed[after]]
        else:
            fed[place] = [_with(h, what, price) for h in moment]
    for place, moment in sorted(extra, key=lambda item: -item[0]):
        fed.insert(place, moment)
    return [moment for moment in fed if moment]


def _scaled(event, factor):
    if isinstance(event, Quote):
        return replace(event, price=event.price * factor)
    if isinstance(event, PriceBar):
        names = ("open", "high", "low", "close")
        return replace(event, **{name: getattr(event, name) * factor for name in names})
    return event


def _with(event, what, price):
    if what == "volume" and isinstance(event, PriceBar):
        return replace(event, volume=price)
    if what == "price" and isinstance(event, PriceBar):
        return replace(event, close=price)
    if what == "price" and isinstance(event, Quote):
        return replace(event, price=price)
    return event


def test_the_fuzz_itself_reaches_what_it_should(noisy, game):
    """Spoilt moments are there to be refused."""
    played = game(Moody(), {"AAA": noisy(n=70)}, scheme=Signed(), limits=Limits(max_jump=0.4))
    spoils = [(3, "price", math.nan), (5, "twice", 1.0), (8, "late", 1.0), (12, "price", 1e12), (30, "split", 1.0)]
    played.play(Listed(_spoilt(list(played.feed.moments()), spoils)))
    told = " ".join(played.notices("refused"))
    for words in ("is nan", "already", "backwards", "1000000000000.0", "-90% from the last close"):
        assert words in told, (words, told[:300])


def test_an_all_in_account_with_everything_wrong_ends_as_it_began(game):
    played = game(Moody(), {"AAA": bars([100.0] * 6)}, 1, scheme=AllIn(), exchange=Exchange(reject_rate=1.0))
    played.play()
    assert played.column("fills", "id").tolist() == []
    assert set(played.column("totals", "equity")) == {100_000.0}
