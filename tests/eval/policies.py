"""Policies of known character, each behind the public interface alone."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from flag_trl.agent import Decider, Decision, choose
from flag_trl.observations import EpisodeMemory, Markets, Observation, ObservationConfig, Observer

SELL, HOLD, BUY = range(3)


class Reader:
    """Reads the last return in its prompt and follows it: an honest policy."""

    config = ObservationConfig(past_returns=3, indicators=[])

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        return Observer(markets, self.config, fill)

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        probabilities = np.array([self._probabilities(o) for o in observations])
        return Decision(choose(probabilities, uniforms), probabilities)

    def likes(self, observation: Observation) -> float:
        """Log odds of buying against selling."""
        last = observation.market_text.split("Returns")[1].split(".")[1].split()[-1]
        return 0.05 * float(last)

    def _probabilities(self, observation: Observation) -> np.ndarray:
        scores = np.array([0.0, -1.0, np.clip(self.likes(observation), -5, 5)])
        weights = np.where(observation.legal, np.exp(scores), 0.0)
        return weights / weights.sum()


class AlwaysLong(Reader):
    """Buys, whatever it reads."""

    def likes(self, observation: Observation) -> float:
        return 4.0


class NameReader(Reader):
    """Buys what begins with M, sells the rest."""

    def likes(self, observation: Observation) -> float:
        return 3.0 if observation.market_text.startswith("M") else -3.0


class Leaky(Reader):
    """Its observations are built one day ahead."""

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        return _Ahead(markets, self.config, fill)


class _Ahead(Observer):
    def observe(
        self, raw: Mapping[str, np.ndarray], memories: Sequence[EpisodeMemory] | None = None
    ) -> list[Observation]:
        return super().observe({**raw, "bar": raw["bar"] + 1}, memories)


class Idle(Reader):
    """Does what a rule does that looks at nothing."""

    def __init__(self, rule: Decider) -> None:
        self._rule = rule

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        return self._rule.decide(observations, uniforms)
