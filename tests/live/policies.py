"""Policies that answer at once and by what they read alone."""

import threading
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np

from flag_trl.agent import Decision, choose
from flag_trl.observations import Markets, Observation, ObservationConfig, Observer

EVERYTHING = ObservationConfig(
    past_returns=3,
    indicators=["momentum20", "rsi14"],
    news_items=2,
    news_budget=300,
    memory_items=2,
    memory_budget=300,
    reflections=2,
    reflection_budget=300,
    account_text="full",
)
"""All that an observation can hold but soft tokens and charts."""


class Moody:
    """Its probabilities are made of the letters of all that it reads, so that a change of any shows."""

    def __init__(self, config: ObservationConfig | None = None) -> None:
        self.config = config or ObservationConfig(past_returns=3)
        self.seen: dict[Observation, int] = {}

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        return Observer(markets, self.config, fill)

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        for observation in observations:
            self.seen[observation] = self.seen.get(observation, 0) + 1
        probabilities = np.array([self.probabilities(observation) for observation in observations])
        return Decision(choose(probabilities, uniforms), probabilities)

    def probabilities(self, observation: Observation) -> np.ndarray:
        text = f"{observation.market_text}\n{observation.account_text}".encode()
        letters = np.frombuffer(blake2b(text, digest_size=len(observation.legal)).digest(), dtype=np.uint8)
        weights = (1.0 + letters) * np.array(observation.legal)
        return weights / weights.sum()


class Fixed(Moody):
    """Wants the actions of a list, bar by bar, where they are legal; elsewhere the first legal one after `hold`."""

    def __init__(self, actions: Sequence[int]) -> None:
        super().__init__()
        self._actions = list(actions)
        self.asked = 0

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        wanted = self._actions[min(self.asked, len(self._actions) - 1)]
        self.asked += 1
        legal = np.array([observation.legal for observation in observations])
        actions = np.where(legal[:, wanted], wanted, 1)
        return Decision(actions, np.eye(legal.shape[1])[actions])


class Slow(Moody):
    """Does not answer some of its questions until it is told to."""

    def __init__(self, on: Sequence[int]) -> None:
        super().__init__()
        self._on, self.asked, self.go_on = set(on), 0, threading.Event()

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        self.asked += 1
        if self.asked in self._on:
            self.go_on.wait()
        return super().decide(observations, uniforms)


class Broken(Moody):
    """Answers some of its questions with what is no number, or not at all."""

    def __init__(self, on: Sequence[int], how: str = "nan") -> None:
        super().__init__()
        self._on, self._how, self.asked = set(on), how, 0

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        self.asked += 1
        decision = super().decide(observations, uniforms)
        if self.asked not in self._on:
            return decision
        if self._how == "raise":
            raise RuntimeError("out of memory")
        if self._how == "illegal":
            illegal = np.array([np.flatnonzero(~np.array(o.legal))[0] for o in observations])
            return Decision(illegal, decision.probabilities)
        if self._how == "nothing":
            return None
        actions, chances = decision.actions, decision.probabilities
        odd = {
            "nan": (actions, chances * np.nan),
            "sum": (actions, chances * 2.0),
            "negative": (actions, chances + [[-2.0, 2.0, 0.0]]),
            "outside": (actions * 0 - 1, chances),
            "shape": (actions[:, None], chances),
            "fraction": (actions * 1.0, chances),
        }
        return Decision(*odd[self._how])
