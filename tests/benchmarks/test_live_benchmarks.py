"""Live benchmarks compare what can be compared, and say what is made up."""

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("nautilus_trader") is None:
    pytest.skip("live runs need the extra `live`", allow_module_level=True)

from benchmarks import live_parity, live_speed, live_table
from benchmarks.live_play import played
from flag_trl.accounts import Costs, Signed
from flag_trl.backtest import buy_and_hold
from flag_trl.data import Period
from flag_trl.live import LiveSettings
from flag_trl.scripts.live_recipe import policy_of, read_live_recipe, settings_of
from tests.live.policies import Moody


def test_synthetic_minutes_are_a_day_of_them_after_half_an_hour():
    markets = live_speed.synthetic_minutes()
    assert list(markets) == [f"SYN{number}" for number in range(5)]
    for market in markets.values():
        assert market.intraday and len(market) == 30 + 390
        assert str(market.dates[30]) == "2022-12-28T09:31:00" and str(market.dates[-1]) == "2022-12-28T16:00:00"
        assert (market.high >= np.maximum(market.open, market.close)).all()
        assert (market.low <= np.minimum(market.open, market.close)).all()


def test_a_timed_run_adds_up(walk):
    market = walk(n=60)
    days = (market.dates[30], market.dates[-1])
    found = live_speed.timed(Moody(), {"AAA": market}, LiveSettings(fill="same_close", decide_every=5), days, "x")
    assert found["bars"] == 30 and found["decisions"] == 6 and found["ended"] == "ended"
    assert 0 < found["policy %"] + found["engine %"] <= 100


def test_parity_is_found_where_it_is_and_an_unseen_observation_ends_it(walk):
    market = walk(n=60)
    period = Period("x", market.dates[30], market.dates[-1])
    found = live_parity.compared(Moody(), {"AAA": market}, period, Signed(), "next_open", "x")
    assert found["fills"] == found["fills in the environment"] > 3
    assert found["largest difference, our books"] < 1e-6 and found["notices"] == 0
    once = live_parity.Once(Moody())
    once.closed = True
    observer = once.observer({"AAA": market}, "same_close")
    raw = {"symbol": [0], "bar": [5], "position": [0], "legal": np.ones((1, 3), dtype=np.int8)}
    with pytest.raises(SystemExit, match="what the engine did not"):
        once.decide(observer.observe({key: np.array(value) for key, value in raw.items()}))


@pytest.fixture
def runs(tmp_path, market_folder):
    """Two runs by one recipe, and one at an exchange of its own."""
    from flag_trl.scripts import simulate

    words = ["--data", str(market_folder / "data"), "--symbols", "AAA", "--fill", "same_close", "--use_cpu", "true"]
    words += ["--days", "2018-03-01", "2018-06-01", "--model_name_or_path", str(market_folder / "model")]
    words += ["--num_trainable_layers", "2"]
    for name, more in (("own", ["--policy", "untrained"]), ("hold", []), ("dear", ["--commission_bps", "9"])):
        policy = [] if "--policy" in more else ["--policy", "buy_and_hold"]
        simulate.main([*words, *more, *policy, "--output_dir", str(tmp_path / name)])
    return tmp_path


def test_a_table_has_a_line_a_run_and_refuses_what_is_not_alike(runs, capsys):
    capsys.readouterr()
    assert live_table.main([str(runs / "own"), str(runs / "hold")]) == 0
    head, rule, own, hold = capsys.readouterr().out.strip().splitlines()
    assert head.count("|") == rule.count("|") == own.count("|") == hold.count("|") == 12
    assert own.startswith("| own |") and hold.split("|")[4].strip() == "–"
    with pytest.raises(SystemExit, match="dear differs from .*own in costs"):
        live_table.main([str(runs / "own"), str(runs / "dear")])


def test_buy_and_hold_played_is_buy_and_hold(walk, tmp_path):
    market = walk(n=60)
    settings = LiveSettings(fill="same_close", costs=Costs(5.0), capital=50_000.0)
    days = (market.dates[30], market.dates[-1])
    with played(buy_and_hold(settings.scheme), {"AAA": market}, settings, days, tmp_path) as (outcome, journal):
        (fill,) = journal.rows("fills")
    assert outcome.equity == pytest.approx(
        50_000.0 - fill["commission"] + fill["quantity"] * (market.close[-1] - fill["price"]), abs=0.05
    )


def test_the_recipe_of_a_table_is_read_as_any_other():
    recipe = read_live_recipe(["--policy", "cash", "--days", "2020-01-02", "2020-02-03", "--use_cpu", "true"])
    assert settings_of(recipe).lot_size == 1.0 and policy_of(recipe)[1] == {"name": "cash"}
