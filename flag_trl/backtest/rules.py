"""Strategies that follow a rule, behind the same `decide` as an agent."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from flag_trl.accounts import PositionScheme
from flag_trl.agent import Decision, choose
from flag_trl.observations import Markets, Observation, ObservationConfig, Observer


class Preference:
    """Takes, of the legal actions, the one it likes best.

    Parameters
    ----------
    scores : ndarray, shape (A,)
        How much each action is liked.
    """

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """Shows what any account sees; a rule looks at its position alone."""
        return Observer(markets, ObservationConfig(), fill)

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """The best legal action with probability one; `uniforms` change nothing."""
        legal = _legal(observations)
        actions = np.where(legal, self._scores, -np.inf).argmax(axis=1)
        return Decision(actions, np.eye(legal.shape[1])[actions])


def buy_and_hold(scheme: PositionScheme) -> Preference:
    """As long as the scheme allows; with a full weight it never trades again."""
    return Preference(_weights(scheme))


def always_cash(scheme: PositionScheme) -> Preference:
    """As little invested as the scheme allows: not at all where a weight is zero."""
    return Preference(-np.abs(_weights(scheme)))


class RandomLegal:
    """Any legal action with equal probability.

    Parameters
    ----------
    seed : int
        Of the draws made where `decide` is given none.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Draw one legal action an account."""
        legal = _legal(observations)
        probabilities = legal / legal.sum(axis=1, keepdims=True)
        draws = self._random.random(len(legal)) if uniforms is None else uniforms
        return Decision(choose(probabilities, draws), probabilities)


def _weights(scheme: PositionScheme) -> np.ndarray:
    """Target weight of each action; leaving the position alone counts as half-way between flat and long."""
    return np.nan_to_num(scheme.target_weight(np.arange(len(scheme.actions))), nan=0.5)


def _legal(observations: Sequence[Observation]) -> np.ndarray:
    return np.array([observation.legal for observation in observations])
