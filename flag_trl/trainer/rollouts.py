"""Rollouts: the episodes of a micro-batch, and the training inputs made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch

from flag_trl.agent import States, Trajectory
from flag_trl.data import Window
from flag_trl.policy.llm import length_batches, pad


def keyed_uniforms(windows: Sequence[Window], num_generations: int, seed: int, visit: int) -> np.ndarray:
    """The numbers that draw the actions, a function of (seed, window, visit, rollout, step) and of nothing else.

    Neither the batch in which a window stands nor the number of processes changes a draw.

    Parameters
    ----------
    windows : sequence of Window, length W
    num_generations : int
        Rollouts a window.
    seed : int
    visit : int
        How often the window came round before.

    Returns
    -------
    ndarray of float64 in [0, 1), shape (T, W x num_generations)
        T is the longest window; shorter ones are padded with zeros. A window's rollouts stand side by side.
    """
    draws = np.zeros((max(window.length for window in windows), len(windows), num_generations))
    for w, window in enumerate(windows):
        key = np.random.SeedSequence([seed, crc32(window.symbol.encode()), window.start, window.length, visit])
        rollouts = np.random.Generator(np.random.Philox(key)).random((num_generations, window.length))
        draws[: window.length, w] = rollouts.T
    return draws.reshape(len(draws), -1)


@dataclass(frozen=True)
class Rollout:
    """Finished episodes with their advantages.

    Attributes
    ----------
    trajectory : Trajectory
        N accounts, T steps.
    states : States
        The distinct states of the active (t, n), row by row.
    advantages : ndarray, shape (T, N)
    reference : torch.Tensor, shape (U, A)
        The untouched model's log-probabilities of each distinct state.
    """

    trajectory: Trajectory
    states: States
    advantages: np.ndarray
    reference: torch.Tensor

    def chunks(self, batch_size: int) -> Iterator[dict[str, torch.Tensor]]:
        """Inputs of the loss, at most `batch_size` distinct states at a time with all samples of each.

        The losses of the chunks add up to the loss of the whole, since every sample belongs to one state and all share
        the denominator.
        """
        active = self.trajectory.active
        actions, weights = self.trajectory.actions[active], self.advantages[active]
        for rows in length_batches([p.token_ids for p in self.states.prompts], batch_size):
            local = np.full(len(self.states.prompts), -1)
            local[rows] = np.arange(len(rows))
            samples = np.flatnonzero(local[self.states.index] >= 0)
            input_ids, lengths = pad([self.states.prompts[i].token_ids for i in rows], torch.device("cpu"))
            yield {
                "input_ids": input_ids,
                "lengths": lengths,
                "legal": self.states.legal[rows],
                "reference": self.reference[rows],
                "state": torch.from_numpy(local[self.states.index[samples]]),
                "actions": torch.from_numpy(actions[samples]),
                "advantages": torch.from_numpy(weights[samples]).float(),
                "denominator": torch.tensor(float(active.size)),
            }
