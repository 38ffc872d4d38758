"""A small network on the numbers that the language model reads as text, trained by PPO from stable-baselines3."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import gymnasium
import numpy as np

from flag_trl.agent import Decision, choose
from flag_trl.data import MarketData, Period, Window, period_window
from flag_trl.envs import TradingEnv, TradingRules
from flag_trl.observations import EpisodeMemory, Markets, Observation, ObservationConfig, Observer

SHOWN = ObservationConfig(
    numbers="soft", soft_bars=20, indicators=["rsi14", "macd26", "bollinger20", "momentum20", "volatility20"]
)
EPISODE = 60


class MLPPolicy:
    """The trained network as a `Policy`.

    Parameters
    ----------
    model : stable_baselines3.PPO
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """Shows twenty bars and five indicators as numbers, and the position."""
        return _NumbersObserver(markets, SHOWN, fill)

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Choose one legal action an account."""
        import torch

        shown = torch.as_tensor(np.array([_vector(o) for o in observations]), dtype=torch.float32)
        with torch.no_grad():
            given = self._model.policy.get_distribution(shown).distribution.probs.double().numpy()
        masked = given * np.array([o.legal for o in observations])
        probabilities = masked / masked.sum(axis=1, keepdims=True)
        return Decision(choose(probabilities, uniforms), probabilities)


def train_mlp(
    markets: Mapping[str, MarketData],
    period: Period,
    rules: TradingRules,
    steps: int,
    seed: int = 0,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> MLPPolicy:
    """Train on windows of 60 days of the period, two hidden layers of 64, the library's own hyperparameters."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    class Progress(BaseCallback):
        def _on_step(self) -> bool:
            tell(self.num_timesteps, steps)
            return True

    windows = [window for s, m in markets.items() for window in _windows(period_window(s, m, period))]
    model = PPO("MlpPolicy", _NumbersEnv(markets, rules, windows), n_steps=512, seed=seed, device="cpu", verbose=0)
    return MLPPolicy(model.learn(steps, callback=Progress()))


def _windows(whole: Window) -> list[Window]:
    length = min(EPISODE, whole.length)
    return [
        Window(whole.symbol, start, length) for start in range(whole.start, whole.start + whole.length - length + 1)
    ]


def _vector(observation: Observation) -> np.ndarray:
    assert observation.numbers is not None
    return np.append(np.array(observation.numbers.values), float(observation.account_text)).astype(np.float32)


class _NumbersObserver(Observer):
    """The position as a number, so that equal states stay equal."""

    def observe(
        self, raw: Mapping[str, np.ndarray], memories: Sequence[EpisodeMemory] | None = None
    ) -> list[Observation]:
        shown = super().observe(raw, memories)
        return [replace(o, account_text=str(int(p))) for o, p in zip(shown, raw["position"], strict=True)]


class _NumbersEnv(gymnasium.Env[np.ndarray, np.int64]):
    """`TradingEnv` that shows the numbers of `SHOWN` and the position; each episode is a window of the period."""

    def __init__(self, markets: Mapping[str, MarketData], rules: TradingRules, windows: Sequence[Window]) -> None:
        self._env = TradingEnv(markets, scheme=rules.scheme, fill=rules.fill, costs=rules.costs)
        self._observer = _NumbersObserver(markets, SHOWN, rules.fill)
        self._windows = windows
        size = len(self._shown(self._env.reset(options={"window": windows[0]})[0]))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = self._env.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        window = self._windows[int(self.np_random.integers(len(self._windows)))]
        raw, _ = self._env.reset(seed=seed, options={"window": window})
        return self._shown(raw), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        raw, reward, terminated, truncated, _ = self._env.step(int(action))
        # Daily log returns are hundredths; the library's networks want numbers about one.
        return self._shown(raw), 100 * reward, terminated, truncated, {}

    def _shown(self, raw: Mapping[str, Any]) -> np.ndarray:
        (observation,) = self._observer.observe({key: np.asarray(value)[None] for key, value in raw.items()})
        return _vector(observation)
