"""An account remembers its own closed trades of the episode, all of them and nothing else, profitable ones first."""

import numpy as np
import pytest

from flag_trl.accounts import AllIn, Costs, Signed
from flag_trl.agent import Agent, play
from flag_trl.agent.decision import Decision
from flag_trl.backtest import run_backtest
from flag_trl.data import Period, Window
from flag_trl.envs import TradingRules
from flag_trl.observations import EpisodeMemory, ObservationConfig, Observer, load_memories, save_memories
from flag_trl.observations.reflections import Reflection

SHOWN = ObservationConfig(past_returns=0, indicators=(), news_items=1, reflections=2, reflection_budget=200)
COSTS = Costs(commission_bps=20, slippage_bps=10, borrow_rate=0.3)
WORDS = [f"Item {bar} about a plant." for bar in range(60)]


class Scripted:
    """Does what it is told, day by day."""

    def __init__(self, actions) -> None:
        self._actions = iter(np.asarray(actions))

    def decide(self, observations, uniforms=None) -> Decision:
        actions = np.full(len(observations), next(self._actions))
        return Decision(actions, np.eye(3)[actions])


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
@pytest.mark.parametrize(
    ("scheme", "costs", "actions"),
    [(AllIn(), COSTS, [2, 1, 1, 0, 1, 2, 0, 2, 1, 1]), (Signed(), Costs(), [2, 2, 0, 0, 2, 1, 1, 0, 1, 0])],
    ids=["all_in with costs", "signed with reversals"],
)
def test_trades_are_remembered_with_the_return_that_the_books_show(fill, scheme, costs, actions, walk) -> None:
    market = walk(texts=WORDS)
    rules = TradingRules(scheme, fill, costs)
    observer = Observer({"AAA": market}, SHOWN, fill)
    trajectory = play(Scripted(actions), rules.make({"AAA": market}, 1), observer, [Window("AAA", 25, 10)])
    (memory,) = trajectory.memories
    period = Period("test", market.dates[25], market.dates[35])
    (ledger,) = run_backtest(Scripted(actions), {"AAA": market}, [period], rules)
    booked = ledger.trades["trade_return"].dropna().to_numpy()
    assert len(booked) >= 2
    np.testing.assert_allclose([trade.trade_return for trade in memory.closed], booked, atol=1e-9)
    for trade in memory.closed:
        # News of a day's first moment are known when an order of the evening before fills at its open.
        assert trade.cue == f"Item {trade.opened + (fill == 'next_open')} about a plant."
        assert 25 <= trade.opened < trade.closed < 35


def test_an_episode_begins_without_memories_and_what_it_shows_was_closed_before(walk) -> None:
    market, rules = walk(texts=WORDS), TradingRules(AllIn(), "same_close")
    observer, seen = Observer({"AAA": market}, SHOWN, "same_close"), []
    for _ in range(2):
        env = rules.make({"AAA": market}, 1)
        trajectory = play(Scripted([2, 1, 0, 1, 2, 0, 1]), env, observer, [Window("AAA", 25, 7)])
        seen.append([day[0].account_text for day in trajectory.observations])
    assert seen[0] == seen[1]
    assert [text.count("Closed") for text in seen[0]] == [0, 0, 0, 1, 1, 1, 2]
    assert "Closed 1 days ago, long for 2: " in seen[0][3] and "After: Item 25 about a plant." in seen[0][3]


def test_what_preceded_a_profit_moves_up_and_a_loss_down() -> None:
    trades = [Reflection(bar, bar + 1, 1, gain, "") for bar, gain in ((1, -0.04), (3, 0.04), (5, 0.0))]
    memory = EpisodeMemory("AAA", trades)
    assert [trade.trade_return for _, trade in memory.ranked(9, "")] == [0.04, 0.0, -0.04]
    relevant = EpisodeMemory(
        "AAA", [Reflection(1, 2, 1, 0.0, "plant opens"), Reflection(1, 2, 1, 0.0, "fine for oil")]
    )
    assert relevant.ranked(9, "oil price")[0][1].cue == "fine for oil"


def test_its_words_keep_their_budget() -> None:
    memory = EpisodeMemory("AAA", [Reflection(bar, bar + 2, 1, 0.01, "news " * 40 + "end") for bar in range(5)])
    for budget in range(0, 300, 7):
        assert len(memory.text(20, "news", 3, budget, len)) <= budget
    assert memory.text(20, "news", 3, 299, len).count("Closed") == 3


def test_it_comes_back_from_disk_in_the_middle_of_a_trade(tmp_path) -> None:
    steps = [(6, 1, 99.0, -0.01), (7, 1, 104.0, 0.04), (8, 0, 103.0, 0.0), (9, -1, 103.0, 0.0), (10, 0, 105.0, 0.0)]
    whole, parted = EpisodeMemory("AAA"), EpisodeMemory("AAA")
    for n, step in enumerate(steps):
        whole.update(*step, cue=lambda bar: f"day {bar}")
        parted.update(*step, cue=lambda bar: f"day {bar}")
        save_memories(tmp_path / "memory.json", [parted])
        (parted,) = load_memories(tmp_path / "memory.json")
        assert parted == whole, n
    assert [(t.opened, t.closed, t.position, t.cue) for t in whole.closed] == [(5, 7, 1, "day 5"), (8, 9, -1, "day 8")]
    assert whole.closed[0].trade_return == pytest.approx(103 / 100 - 1)
    (tmp_path / "other.json").write_text('[{"a": 1}]')
    with pytest.raises(ValueError, match="holds no memories of trades"):
        load_memories(tmp_path / "other.json")


def test_an_agent_that_remembers_trades_as_it_would_alone(tiny_policy, walk) -> None:
    """Accounts side by side do not read one another's memory, whichever of them end first."""
    market, rules = walk(texts=WORDS), TradingRules(Signed(), "next_open")
    agent = Agent(tiny_policy(), SHOWN)
    observer = agent.observer({"AAA": market}, rules.fill)
    windows = [Window("AAA", 25, 6), Window("AAA", 28, 12), Window("AAA", 25, 12)]
    uniforms = np.random.default_rng(0).random((12, 3))
    both = play(agent, rules.make({"AAA": market}, 3), observer, windows, uniforms)
    for n, window in enumerate(windows):
        alone = play(agent, rules.make({"AAA": market}, 1), observer, [window], uniforms[:, [n]])
        assert alone.memories[0] == both.memories[n]
        assert np.array_equal(alone.actions[:, 0], both.actions[: window.length, n])
    assert any(memory.closed for memory in both.memories)
