"""Asking the policy, within the time it has, and what its answer is worth."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from hashlib import blake2b
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np

from flag_trl.agent import Decision, Policy


class Late(Exception):
    """There was no answer in time."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes
    ----------
    status : str
        ``ok``, ``late``, or ``failed``.
    decision : Decision, optional
        Of all observations; None unless it is ok.
    why : str
        What was wrong.
    took_s : float
    """

    status: str
    decision: Decision | None
    why: str
    took_s: float


class Asking:
    """Asks in a thread of its own where there is a time limit, so that a policy that hangs holds nobody up."""

    def __init__(self, policy: Policy, within_s: float) -> None:
        self._policy = policy
        self._within_s = within_s
        self._questions: SimpleQueue[tuple[Future[Decision], Sequence[Any], np.ndarray | None]] = SimpleQueue()
        self._under_way: Future[Decision] | None = None
        if within_s:
            # A daemon, since one that hangs must not keep the process from ending either.
            Thread(target=self._serve, name="policy", daemon=True).start()

    def ask(self, observations: Sequence[Any], uniforms: np.ndarray | None) -> Answer:
        """One decision on each observation."""
        began = perf_counter()
        try:
            decision = self._decide(observations, uniforms)
            legal = np.array([observation.legal for observation in observations])
            why = _wrong(decision, legal)
        except Late:
            return Answer("late", None, f"no answer within {self._within_s:g} s", perf_counter() - began)
        except Exception as error:  # Whatever goes wrong inside a model, the account must not notice.
            return Answer("failed", None, f"{type(error).__name__}: {error}", perf_counter() - began)
        took = perf_counter() - began
        return Answer("failed" if why else "ok", None if why else decision, why, took)

    def _decide(self, observations: Sequence[Any], uniforms: np.ndarray | None) -> Decision:
        if not self._within_s:
            return self._policy.decide(observations, uniforms)
        if self._under_way is not None and not self._under_way.done():
            raise Late
        self._under_way = Future()
        self._questions.put((self._under_way, observations, uniforms))
        if not wait([self._under_way], timeout=self._within_s).done:
            raise Late
        return self._under_way.result()

    def _serve(self) -> None:
        while True:
            answer, observations, uniforms = self._questions.get()
            try:
                answer.set_result(self._policy.decide(observations, uniforms))
            except Exception as error:
                answer.set_exception(error)


def _wrong(decision: object, legal: np.ndarray) -> str:
    """What is wrong with an answer; empty for a sound one."""
    if not isinstance(decision, Decision):
        return f"it is a {type(decision).__name__} and no decision"
    found, actions = decision.probabilities, decision.actions
    if actions.shape != legal.shape[:1] or actions.dtype.kind not in "iu":
        return f"its actions have shape {actions.shape} and type {actions.dtype}"
    if not np.isfinite(found).all():
        return "its probabilities are not numbers"
    if found.shape != legal.shape or (found < 0.0).any() or not np.allclose(found.sum(axis=1), 1.0, atol=1e-6):
        return f"its probabilities do not sum to one over {legal.shape[1]} actions"
    inside = (actions >= 0) & (actions < legal.shape[1])
    if not inside.all() or not np.take_along_axis(legal, actions[:, None], axis=1).all():
        return "it chose an action that the account cannot execute"
    return ""


def keyed_uniform(seed: int, symbol: str, ts: int) -> float:
    """A number in [0, 1) that draws what happens at a moment: a function of seed, symbol and moment alone."""
    content = blake2b(f"{seed} {symbol} {ts}".encode(), digest_size=8).digest()
    return (int.from_bytes(content) >> 11) / 2**53


def observation_hash(observation: Any) -> str:
    """A name for all that an observation says."""
    content = blake2b(digest_size=16)
    for part in (observation.market_text, observation.account_text, repr(observation.legal)):
        content.update(part.encode() + b"\x00")
    if observation.numbers is not None:
        content.update(np.ascontiguousarray(observation.numbers.values).tobytes())
    if observation.image is not None:
        content.update(observation.image.png)
    return content.hexdigest()
