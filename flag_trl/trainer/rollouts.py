"""The numbers that draw the actions of rollouts."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from flag_trl.data import Window


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
