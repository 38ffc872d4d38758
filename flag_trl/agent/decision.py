"""What every trader in this project answers, and who may answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from flag_trl.observations import Markets, Observation, Observer


@dataclass(frozen=True)
class Decision:
    """Actions of N accounts on one day.

    Attributes
    ----------
    actions : ndarray of int64, shape (N,)
        Action ids of the position scheme.
    probabilities : ndarray of float64, shape (N, A)
        Zero for illegal actions; each row sums to one.
    values : ndarray of float64, shape (N,), or None
        The return-to-go that a value head expects; None where there is none.
    """

    actions: np.ndarray
    probabilities: np.ndarray
    values: np.ndarray | None = None

    @property
    def log_probs(self) -> np.ndarray:
        """Log-probability of each action taken, shape (N,)."""
        taken = np.take_along_axis(self.probabilities, self.actions[:, None], axis=1)[:, 0]
        return np.log(taken)


class Decider(Protocol):
    """Anything that turns observations into actions: an `Agent`, or a rule."""

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Choose one action an account; see `choose` for what `uniforms` does."""
        ...


@runtime_checkable
class Policy(Decider, Protocol):
    """A decider that says what it is shown; all that evaluation asks of a policy."""

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """What turns the environment's arrays into the observations that `decide` takes."""
        ...


@runtime_checkable
class Tabular(Policy, Protocol):
    """A policy that can be evaluated ahead of its decisions."""

    def table(self, observations: Sequence[Observation], on_progress: Callable[[int, int], None]) -> Decider:
        """What decides as the policy would wherever no other observations occur."""
        ...


def choose(probabilities: np.ndarray, uniforms: np.ndarray | None) -> np.ndarray:
    """Draw actions by inverting the distribution function, or take the likeliest.

    Parameters
    ----------
    probabilities : ndarray, shape (N, A)
    uniforms : ndarray, shape (N,), optional
        Numbers in [0, 1); the same number draws the same action whatever else is in the batch. None: the likeliest
        action, the first of equals.

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    if uniforms is None:
        return probabilities.argmax(axis=1)
    cumulative = probabilities.cumsum(axis=1)
    drawn = (uniforms[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
    # Rounding can carry a draw past the last action that has any probability.
    last_possible = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(drawn, last_possible)
