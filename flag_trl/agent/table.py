"""The policy of a whole window, evaluated once: any number of rollouts is simulated from it."""

from collections.abc import Sequence

import numpy as np

from flag_trl.agent.decision import Decision, choose
from flag_trl.observations import Observation


class PolicyTable:
    """Decides from probabilities that were computed before.

    Where the account is described finitely, all states of a window can be listed before anything is traded; the
    decisions are then those of the agent that filled the table, without a forward pass.

    Parameters
    ----------
    observations : sequence of Observation, length U
        Distinct.
    probabilities : ndarray of float64, shape (U, A)
    values : ndarray of float64, shape (U,), or None
    """

    def __init__(
        self, observations: Sequence[Observation], probabilities: np.ndarray, values: np.ndarray | None
    ) -> None:
        self._row = {observation: row for row, observation in enumerate(observations)}
        self._probabilities = probabilities
        self._values = values

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Choose one action an account, as `Agent.decide` would.

        Raises
        ------
        KeyError
            For an observation that the table does not hold.
        """
        rows = [self._row[observation] for observation in observations]
        taken = self._probabilities[rows]
        return Decision(choose(taken, uniforms), taken, None if self._values is None else self._values[rows])

    def probabilities(self, observations: Sequence[Observation]) -> np.ndarray:
        """Probabilities of the actions, shape (N, A)."""
        return self._probabilities[[self._row[observation] for observation in observations]]
