"""The prices and the clock that all environments of `benchmarks.bench_env` share.

NumPy and the standard library only: the peers' environment runs it too.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BARS = 2000
COMMISSION = 0.001
SLIPPAGE = 0.0005
SEED = 0


@dataclass(frozen=True)
class Timing:
    """How one environment is timed.

    Attributes
    ----------
    accounts : int
        Accounts that trade side by side.
    steps : int
        Steps of an episode.
    repetitions : int
        Timed repetitions, after one untimed episode.
    seconds : float
        A repetition runs whole episodes until this much time has passed, and at least one.
    """

    accounts: int
    steps: int
    repetitions: int
    seconds: float


def daily_bars(bars: int = BARS) -> tuple[np.ndarray, np.ndarray]:
    """Opens and closes of a seeded geometric random walk, 1 % a day; float64 of shape (bars,) each.

    A bar opens at the close before it, moved by a tenth of a day's noise.
    """
    rng = np.random.default_rng(SEED)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, bars)))
    before = np.concatenate(([100.0], close[:-1]))
    return before * np.exp(rng.normal(0.0, 0.001, bars)), close


def draws(timing: Timing, n_actions: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw what must not be drawn on the clock.

    Returns
    -------
    starts : np.ndarray
        First bar of each account's episode, int64 of shape (accounts,), at least 1.
    actions : np.ndarray
        int64 of shape (steps, accounts), uniform over 0 .. n_actions - 1.
    """
    rng = np.random.default_rng(SEED + 1)
    starts = rng.integers(1, BARS - timing.steps - 1, size=timing.accounts)
    return starts, rng.integers(n_actions, size=(timing.steps, timing.accounts))


def time_episodes(environment: str, episode: Callable[[], bool], timing: Timing) -> dict[str, Any]:
    """Time an environment over whole episodes, resets included.

    Parameters
    ----------
    environment : str
        Its name in the table.
    episode : callable
        Resets and runs ``timing.steps`` steps; says whether the last one, and not the one before it, ended the episode
        of every account.
    timing : Timing

    Returns
    -------
    dict
        ``environment``, the fields of `timing` but ``seconds``, and a list each of ``seconds`` and ``episodes``, one
        element a repetition.

    Raises
    ------
    RuntimeError
        If the episodes have another length, which would make the steps counted wrong.
    """
    if not episode():
        raise RuntimeError(f"{environment}: an episode does not end with step {timing.steps}, so steps are miscounted")
    seconds, episodes = [], []
    said = time.perf_counter()
    for repetition in range(timing.repetitions):
        count, began = 0, time.perf_counter()
        while True:
            episode()
            count += 1
            elapsed = time.perf_counter() - began
            if elapsed >= timing.seconds:
                break
        seconds.append(elapsed)
        episodes.append(count)
        if time.perf_counter() - said > 5.0:
            done = f"repetition {repetition + 1}/{timing.repetitions}"
            print(f"{environment}, {timing.accounts} accounts: {done}", file=sys.stderr, flush=True)
            said = time.perf_counter()
    return {"environment": environment, **asdict(timing), "seconds": seconds, "episodes": episodes}
