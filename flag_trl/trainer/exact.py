"""The policy gradient without sampling: values of every action, by recursion over an account's positions.

Where an account's future depends on its position and on nothing else that came before, an episode of T steps has T
times a few states, and Bellman's equation gives the worth of every action under the known prices. It is the yardstick
for every estimator that samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig


@dataclass(frozen=True)
class Transitions:
    """What each action does in each state of a window; X positions of the scheme, A actions.

    Attributes
    ----------
    rewards : ndarray of float64, shape (T, X, A)
        Zero where illegal.
    next_state : ndarray of int64, shape (T, X, A)
        Index into the scheme's positions.
    legal : ndarray of bool, shape (T, X, A)
        False throughout for states that cannot occur: on the first day an account is flat.
    start : int
        The index of the flat position.
    """

    rewards: np.ndarray
    next_state: np.ndarray
    legal: np.ndarray
    start: int


def check_exact(rules: TradingRules, observation: ObservationConfig) -> None:
    """Refuse what makes an account's future depend on more than its position.

    Raises
    ------
    ValueError
        Naming the rule, and what to use instead.
    """
    if rules.reward not in ("log_return", "timing_return"):
        raise ValueError(
            f"baseline exact: reward {rules.reward} depends on all returns so far, not on the position alone; use "
            "log_return or timing_return, or another baseline"
        )
    if rules.scheme.name not in ("all_in", "signed"):
        raise ValueError(
            f"baseline exact: under the scheme {rules.scheme.name} weights drift, so that what a trade costs depends "
            "on more than the position; use all_in or signed, or another baseline"
        )
    if rules.lot_size:
        raise ValueError(
            f"baseline exact: with lots of {rules.lot_size:g} what is invested depends on the account's size; use "
            "lot_size 0, or another baseline"
        )
    if observation.endless is not None:
        raise ValueError(
            f"baseline exact: {observation.endless} tells the policy more than its position, so that states are not "
            "finitely many; use account_text position without reflections, or another baseline"
        )


def transitions(rules: TradingRules, markets: Mapping[str, MarketData], window: Window) -> Transitions:
    """Play every action in every state of a window in the environment itself.

    An account reaches a position on the day before, so each is played over two days; the first day has the flat
    account alone.

    Raises
    ------
    ValueError
        If an account is ruined: what it then owes depends on its past.
    """
    scheme = rules.scheme
    positions = np.array(scheme.positions)
    start = int(np.flatnonzero(positions == 0)[0])
    legal = np.tile(scheme.legal_actions(positions), (window.length, 1, 1))
    legal[0, positions != 0] = False
    rewards = np.zeros(legal.shape)
    next_state = np.zeros(legal.shape, dtype=np.int64)
    steps = np.argwhere(legal)
    # A last position is closed at the end of the window, not at the end of each two days of it.
    ends = steps[:, 0] == window.length - 1
    paid = replace(rules, reward="log_return")
    # The last day comes second: an account ruined on its way there is met first where it was ruined.
    for chosen, own in ((~ends, replace(paid, close_at_end=False)), (ends, paid)):
        if chosen.any():
            t, x, a = steps[chosen].T
            rewards[t, x, a], found = _played(own, markets, window, steps[chosen])
            next_state[t, x, a] = np.searchsorted(positions, found)
    if rules.reward == "timing_return":
        if rules.drift is None:
            raise ValueError("reward timing_return has no drift; take the rules of TradingRules.with_drift")
        rewards -= np.where(legal, _exposure(rules) * rules.drift[window.symbol], 0.0)
    return Transitions(rewards, next_state, legal, start)


def _exposure(rules: TradingRules) -> np.ndarray:
    """Weight held after each action in each position, shape (X, A); a position kept is one of the whole equity."""
    wanted = rules.scheme.target_weight(np.arange(len(rules.scheme.actions)))
    return np.where(np.isnan(wanted), np.array(rules.scheme.positions)[:, None], wanted)


def _played(
    rules: TradingRules, markets: Mapping[str, MarketData], window: Window, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Reward and new position of each (step, state, action), an account each."""
    t, x, actions = steps.T
    env = rules.make(markets, len(steps))
    first = [Window(window.symbol, window.start + max(day - 1, 0), min(day, 1) + 1) for day in t.tolist()]
    raw, _ = env.reset(options={"windows": first})
    into = _action_into(rules)
    opening = np.where(t == 0, actions, into[x])
    raw, opened, ruined, _, info = env.step(opening)
    position = info["position"].copy()
    if (t > 0).any():
        _, later, broke, _, info = env.step(actions)
        opened, ruined = np.where(t == 0, opened, later), ruined | broke
        position = np.where(t == 0, position, info["position"])
    if ruined.any():
        day = markets[window.symbol].dates[window.start + t[ruined.argmax()] + 1]
        raise ValueError(
            f"baseline exact: an account in {window.symbol} is ruined at {day}, and what it owes then depends on its "
            "past; use all_in, or another baseline"
        )
    return opened, position


def _action_into(rules: TradingRules) -> np.ndarray:
    """For each position of the scheme, the action that leads a flat account into it."""
    scheme = rules.scheme
    legal = scheme.legal_actions(np.array([0]))[0]
    wanted = np.nan_to_num(scheme.target_weight(np.arange(len(legal))))
    return np.array([np.flatnonzero(legal & (np.sign(wanted) == position))[0] for position in scheme.positions])


def q_values(moves: Transitions, probabilities: np.ndarray, gamma: float) -> np.ndarray:
    """Q_t(x, a) = r_t(x, a) + gamma sum over a' of pi(a' | x') Q_{t+1}(x', a').

    Parameters
    ----------
    moves : Transitions
    probabilities : ndarray, shape (T, X, A)
        The policy; zero where illegal.
    gamma : float

    Returns
    -------
    ndarray, shape (T, X, A)
        Zero where illegal.
    """
    q = np.zeros_like(moves.rewards)
    value = np.zeros(q.shape[1])
    for t in range(len(q) - 1, -1, -1):
        q[t] = np.where(moves.legal[t], moves.rewards[t] + gamma * value[moves.next_state[t]], 0.0)
        value = (probabilities[t] * q[t]).sum(-1)
    return q


def occupancy(moves: Transitions, probabilities: np.ndarray) -> np.ndarray:
    """d_t(x): how likely an account is in state x at step t; each row sums to one, shape (T, X)."""
    likely = np.zeros(moves.rewards.shape[:2])
    likely[0, moves.start] = 1.0
    for t in range(len(likely) - 1):
        np.add.at(likely[t + 1], moves.next_state[t], likely[t][:, None] * probabilities[t])
    return likely
