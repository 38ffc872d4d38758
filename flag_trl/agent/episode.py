"""One episode of N accounts: the loop that rollouts, evaluation and backtest share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium.vector import VectorEnv

from flag_trl.agent.decision import Decider
from flag_trl.observations import EpisodeMemory, Observation, Observer


@dataclass(frozen=True)
class Trajectory:
    """What N accounts saw, did and earned over T steps; T is the longest window, shorter ones are padded.

    Attributes
    ----------
    observations : list of T lists of Observation
        Those of the accounts that were still trading, in account order: flattened, they follow ``active`` row by row.
    actions : ndarray of int64, shape (T, N)
    probabilities : ndarray of float64, shape (T, N, A)
        Zero after an account's end, as are actions and rewards.
    rewards : ndarray of float64, shape (T, N)
    active : ndarray of bool, shape (T, N)
        Whether the account was still trading when it decided.
    infos : dict of str to ndarray, shape (T, N)
        What the environment told after each step.
    values : ndarray of float64, shape (T, N), or None
        What the decider's value head expected; None where it has none.
    memories : list of N EpisodeMemory, or None
        What each account remembered of its own trades at the end; None where nothing is remembered.
    """

    observations: list[list[Observation]]
    actions: np.ndarray
    probabilities: np.ndarray
    rewards: np.ndarray
    active: np.ndarray
    infos: dict[str, np.ndarray]
    values: np.ndarray | None = None
    memories: list[EpisodeMemory] | None = None


def play(
    decider: Decider,
    env: VectorEnv,
    observer: Observer,
    windows: Sequence[tuple[str, int, int]],
    uniforms: np.ndarray | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trajectory:
    """Trade `windows`, one account each, from flat to the end.

    Parameters
    ----------
    decider : Decider
        An agent or a rule.
    env : VectorEnv
        A `flag_trl.envs.TradingVectorEnv` with one account a window.
    observer : Observer
        Shows the decider what the environment's arrays mean.
    windows : sequence of flag_trl.data.Window, length N
    uniforms : ndarray, shape (T, N), optional
        Draws of the actions; without them the decider is greedy.
    on_progress : callable
        Called with the steps done and those of the longest window, after each step.
    """
    raw, _ = env.reset(options={"windows": windows})
    seen: list[list[Observation]] = []
    actions, probabilities, values, rewards, active, infos = [], [], [], [], [], []
    running = np.ones(len(windows), dtype=bool)
    memories = observer.memories([window[0] for window in windows])
    while running.any():
        remembered = None if memories is None else [memories[i] for i in np.flatnonzero(running)]
        observations = observer.observe({key: values[running] for key, values in raw.items()}, remembered)
        decision = decider.decide(observations, None if uniforms is None else uniforms[len(seen)][running])
        raw, reward, terminated, truncated, info = env.step(_spread(decision.actions, running))
        if memories is not None:
            for i in np.flatnonzero(running).tolist():
                observer.remember(memories[i], raw, info["equity"], i)
        seen.append(observations)
        actions.append(_spread(decision.actions, running))
        probabilities.append(_spread(decision.probabilities, running))
        if decision.values is not None:
            values.append(_spread(decision.values, running))
        rewards.append(reward)
        active.append(running)
        infos.append(info)
        running = running & ~(terminated | truncated)
        on_progress(len(seen), max(window[2] for window in windows))
    stacked = {key: np.stack([info[key] for info in infos]) for key in infos[0]}
    return Trajectory(
        seen,
        np.stack(actions),
        np.stack(probabilities),
        np.stack(rewards),
        np.stack(active),
        stacked,
        np.stack(values) if values else None,
        memories,
    )


def _spread(values: np.ndarray, running: np.ndarray) -> np.ndarray:
    """Values of the running accounts in an array of all accounts, zero for the others."""
    everyone = np.zeros((len(running), *values.shape[1:]), dtype=values.dtype)
    everyone[running] = values
    return everyone
