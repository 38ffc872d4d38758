"""The account part, and that the market part depends on symbol and day alone."""

import numpy as np

from flag_trl.accounts import AllIn, Signed
from flag_trl.data import Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig, Observer

QUIET = ObservationConfig(news_items=0)


def raw(position: list[int], **more: list[float]) -> dict[str, np.ndarray]:
    n = len(position)
    arrays = {"cash_share": [0.0] * n, "return_since_entry": [0.0] * n, "drawdown": [0.0] * n, **more}
    legal = Signed().legal_actions(np.array(position))
    fixed = {"symbol": np.zeros(n, int), "bar": np.full(n, 30), "position": np.array(position), "legal": legal}
    return {**fixed, **{key: np.array(values) for key, values in arrays.items()}}


def test_position_text_says_flat_long_or_short_and_nothing_continuous(walk) -> None:
    observer = Observer({"AAA": walk()}, QUIET, "next_open")
    some = observer.observe(raw([0, 1, -1], drawdown=[0.1, 0.2, 0.3]))
    assert [o.account_text for o in some] == ["Position: flat.", "Position: long.", "Position: short."]
    assert len({o.market_text for o in some}) == 1


def test_full_text_adds_cash_gain_and_drawdown(walk) -> None:
    observer = Observer({"AAA": walk()}, ObservationConfig(account_text="full"), "next_open")
    (one,) = observer.observe(raw([1], cash_share=[0.25], return_since_entry=[0.034], drawdown=[0.012]))
    assert one.account_text == "Position: long. Cash 25%, since entry +3.4%, drawdown 1.2%."


def test_accounts_in_the_same_state_have_equal_observations(walk) -> None:
    markets = {"AAA": walk(symbol="AAA"), "BBB": walk(symbol="BBB", seed=1)}
    env = TradingRules(scheme=AllIn()).make(markets, 3)
    windows = [Window("BBB", 25, 5), Window("AAA", 25, 5), Window("BBB", 25, 5)]
    first, second, third = Observer(markets, QUIET, "next_open").observe(env.reset(options={"windows": windows})[0])
    assert first == third and first != second
    assert first.market_text.startswith("BBB.") and first.legal == (False, True, True)
