"""The exact gradient, its values and its states against enumeration of every action sequence of four steps."""

from itertools import product

import numpy as np
import pytest
import torch

from flag_trl.accounts import AllIn, Costs, Signed, Target
from flag_trl.agent import Agent
from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.trainer.advantages import returns_to_go
from flag_trl.trainer.collector import Collector
from flag_trl.trainer.exact import occupancy, q_values, transitions

STEPS = 4
WINDOW = Window("AAA", 20, STEPS)
COSTS = Costs(commission_bps=50, slippage_bps=30, borrow_rate=0.5)
RULES = [
    TradingRules(scheme=scheme, fill=fill, costs=COSTS, reward=reward, close_at_end=close, drift={"AAA": 0.03})
    for reward, scheme, fill, close in (
        *product(("log_return",), (AllIn(), Signed()), ("same_close", "next_open"), (False, True)),
        *product(("timing_return",), (AllIn(), Signed()), ("next_open",), (True,)),
    )
]


def market(**bars: float) -> MarketData:
    """Four large moves that differ, over night and over the day; a keyword such as `b20` sets that bar's close."""
    close, opened = np.full(40, 100.0), np.full(40, 100.0)
    close[20:25] = [100, 130, 90, 125, 80]
    opened[21:25] = [110, 120, 95, 105]
    for bar, price in bars.items():
        close[int(bar[1:])] = price
    return MarketData("AAA", np.datetime64("2020-01-01") + np.arange(40), close, open=opened)


MARKETS = {"AAA": market()}


@pytest.fixture(
    scope="module",
    params=RULES,
    ids=lambda r: f"{r.reward}-{r.scheme.name}-{r.fill}-{'closed' if r.close_at_end else 'open'}",
)
def rules(request) -> TradingRules:
    return request.param


@pytest.fixture(scope="module")
def moves(rules):
    return transitions(rules, MARKETS, WINDOW)


@pytest.fixture(scope="module")
def policy(moves) -> np.ndarray:
    """Any policy over the legal actions, another one in each state."""
    weights = np.random.default_rng(0).uniform(0.2, 1.0, moves.rewards.shape) * moves.legal
    return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)


@pytest.fixture(scope="module")
def sequences(rules, every_sequence):
    return every_sequence(rules, MARKETS, WINDOW)


@pytest.fixture(scope="module")
def states(rules, sequences) -> np.ndarray:
    """Index of the position in which each action was decided, (n, T)."""
    return np.searchsorted(rules.scheme.positions, sequences.positions)


@pytest.fixture(scope="module")
def likely(policy, sequences, states) -> np.ndarray:
    """Probability of each sequence, (n,)."""
    return policy[np.arange(STEPS), states, sequences.actions].prod(1)


def test_what_an_action_pays_and_where_it_leads_depends_on_the_position_alone(moves, sequences, states) -> None:
    found = moves.rewards[np.arange(STEPS), states, sequences.actions]
    np.testing.assert_allclose(found, sequences.rewards, rtol=0, atol=1e-12)
    led = moves.next_state[np.arange(STEPS - 1), states[:, :-1], sequences.actions[:, :-1]]
    assert np.array_equal(led, states[:, 1:])


def test_exactly_what_occurs_is_legal(moves, sequences, states) -> None:
    occurs = np.zeros_like(moves.legal)
    occurs[np.arange(STEPS), states, sequences.actions] = True
    assert np.array_equal(moves.legal, occurs)


def mean_returns(returns: np.ndarray, likely: np.ndarray, states: np.ndarray, actions: np.ndarray, legal: np.ndarray):
    """Mean return-to-go over the sequences that take an action in a state, of every legal one; (T, X, A)."""
    means = np.zeros(legal.shape)
    for t, x, a in np.argwhere(legal):
        took = (states[:, t] == x) & (actions[:, t] == a)
        means[t, x, a] = likely[took] @ returns[took, t] / likely[took].sum()
    return means


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_the_worth_of_an_action_is_the_mean_return_of_the_sequences_that_take_it(
    gamma, moves, policy, sequences, states, likely
) -> None:
    returns = returns_to_go(sequences.rewards.T, gamma).T
    expected = mean_returns(returns, likely, states, sequences.actions, moves.legal)
    np.testing.assert_allclose(q_values(moves, policy, gamma), expected, rtol=0, atol=1e-12)


def test_the_worth_of_the_start_is_the_expected_return(moves, policy, sequences, likely) -> None:
    start = policy[0, moves.start] @ q_values(moves, policy, 1.0)[0, moves.start]
    assert start == pytest.approx(likely @ sequences.rewards.sum(1), abs=1e-12)


def test_a_state_is_as_likely_as_the_sequences_that_pass_through_it(moves, policy, states, likely) -> None:
    found = occupancy(moves, policy)
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=0, atol=1e-12)
    expected = [[likely[states[:, t] == x].sum() for x in range(found.shape[1])] for t in range(STEPS)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.fixture
def make_exact(make_trainer):
    """A trainer without entropy bonus, KL or scaling, in double precision."""

    def build(rules: TradingRules, **options: object):
        plain = {"baseline": "exact", "entropy_coef": 0.0, "kl_coef": 0.0, "scale_advantages": False}
        trainer = make_trainer(rules=rules, market=MARKETS["AAA"], length=STEPS, **{**plain, **options})
        trainer.model.double()
        return trainer

    return build


def assert_same_gradient(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * expected.abs().max().item())


def gradient_of(objective: torch.Tensor, trainer) -> torch.Tensor:
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    return torch.cat([g.flatten() for g in torch.autograd.grad(-objective / STEPS, trained)])


def test_the_gradient_is_that_of_the_expected_return(rules, sequences, make_exact, decisions, loss_gradient) -> None:
    trainer = make_exact(rules)
    samples, _ = trainer._collector.collect([WINDOW], visit=0)
    log_probs, _ = decisions(trainer, sequences)
    objective = log_probs.sum(1).exp() @ torch.from_numpy(sequences.rewards.sum(1))
    assert_same_gradient(loss_gradient(trainer, samples), gradient_of(objective, trainer))


@pytest.mark.parametrize("rules", RULES[-1:], indirect=True)
def test_with_discount_and_entropy_bonus_the_gradient_is_reinforces_averaged_over_all_sequences(
    rules, sequences, make_exact, decisions, loss_gradient
) -> None:
    trainer = make_exact(rules, gamma=0.9, entropy_coef=0.3)
    samples, _ = trainer._collector.collect([WINDOW], visit=0)
    log_probs, entropy = decisions(trainer, sequences)
    returns = torch.from_numpy(returns_to_go(sequences.rewards.T, 0.9).T.copy())
    objective = log_probs.sum(1).exp().detach() @ (returns * log_probs + 0.3 * entropy).sum(1)
    assert_same_gradient(loss_gradient(trainer, samples), gradient_of(objective, trainer))


@pytest.mark.parametrize("rules", RULES[-1:], indirect=True)
def test_the_spread_is_the_deviation_of_the_advantages_over_all_sequences_decisions(
    rules, moves, sequences, states, make_exact, decisions
) -> None:
    trainer = make_exact(rules)
    _, metrics = trainer._collector.collect([WINDOW], visit=0)
    log_probs = decisions(trainer, sequences)[0].detach().numpy()
    likely, at = np.exp(log_probs.sum(1)), (np.arange(STEPS), states, sequences.actions)
    pi = np.zeros_like(moves.rewards)
    pi[at] = np.exp(log_probs)
    q = mean_returns(returns_to_go(sequences.rewards.T, 1.0).T, likely, states, sequences.actions, moves.legal)
    advantages = (q - (pi * q).sum(-1, keepdims=True))[at]
    assert metrics["advantage_std"] == pytest.approx(np.sqrt(likely @ (advantages**2).mean(1)), rel=1e-6)


def test_windows_add_up_each_by_its_steps(make_exact, loss_gradient) -> None:
    trainer, short = make_exact(RULES[-1]), Window("AAA", 21, STEPS - 1)
    one, other, both = (
        loss_gradient(trainer, trainer._collector.collect(windows, visit=0)[0])
        for windows in ([WINDOW], [short], [WINDOW, short])
    )
    # The denominator counts the padded steps of the shorter window.
    assert_same_gradient(both, (STEPS * one + (STEPS - 1) * other) / (2 * STEPS))


@pytest.mark.parametrize(
    ("rules", "shown", "parts"),
    [
        (TradingRules(reward="sharpe_increment"), {}, ("reward sharpe_increment", "use log_return")),
        (TradingRules(reward="differential_sharpe"), {}, ("reward differential_sharpe", "use log_return")),
        (TradingRules(reward="drawdown_penalised"), {}, ("reward drawdown_penalised", "use log_return")),
        (TradingRules(scheme=Target()), {}, ("scheme target", "use all_in or signed")),
        (TradingRules(lot_size=1.0), {}, ("lots of 1", "use lot_size 0")),
        (TradingRules(), {"account_text": "full"}, ("account_text full", "use account_text position")),
        (TradingRules(), {"reflections": 2}, ("reflections 2", "without reflections")),
    ],
    ids=lambda part: part[0] if isinstance(part, tuple) else "",
)
def test_what_makes_the_future_depend_on_more_than_the_position_is_refused(rules, shown, parts, make_trainer) -> None:
    trainer = make_trainer(baseline="exact")
    agent = Agent(trainer.agent.policy, ObservationConfig(**shown))
    with pytest.raises(ValueError, match="baseline exact: ") as error:
        Collector(agent, trainer.args, trainer.markets, rules)
    for part in (*parts, "or another baseline"):
        assert part in str(error.value)


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
@pytest.mark.parametrize("step", range(STEPS))
def test_a_ruined_account_is_refused_with_its_day(step, fill, make_trainer) -> None:
    """The close at which a short loses more than everything is named, whichever step it ends."""
    bar = WINDOW.start + step + 1
    ruinous = market(**{f"b{bar}": 400.0})
    trainer = make_trainer(rules=TradingRules(scheme=Signed(), fill=fill), market=ruinous, baseline="exact")
    with pytest.raises(ValueError, match=f"AAA is ruined at {ruinous.dates[bar]}.* use all_in, or another baseline"):
        trainer._collector.collect([WINDOW], visit=0)


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
def test_ruin_outside_the_window_does_not_matter(fill) -> None:
    rules, first, last = TradingRules(scheme=Signed(), fill=fill), WINDOW.start, WINDOW.start + STEPS
    outside = {"AAA": market(**{f"b{first - 1}": 20.0, f"b{last + 1}": 400.0})}
    found, usual = (transitions(rules, markets, WINDOW) for markets in (outside, MARKETS))
    assert np.array_equal(found.rewards, usual.rewards)
