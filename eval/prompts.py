"""What a policy might have been shown instead: days altered, later rows altered, and everything a day late."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from flag_trl.accounts import PositionScheme
from flag_trl.agent import Decision, Policy, PolicyTable
from flag_trl.data import MarketData, altered, anonymised
from flag_trl.observations import EpisodeMemory, Markets, Observation, Observer

Alter = Callable[[MarketData, Sequence[str], int], MarketData]


def news_shuffled(market: MarketData, names: Sequence[str], seed: int) -> MarketData:
    """The market with every text in another's place: as many on each day, with what another day said."""
    order = np.random.default_rng(seed).permutation(len(market.texts))
    moved = [replace(market.texts[k], known_at=text.known_at) for k, text in zip(order, market.texts, strict=True)]
    return replace(market, texts=tuple(moved))


ALTERATIONS: Mapping[str, Alter] = {
    "names replaced": lambda market, names, seed: altered(market, "entities", names),
    "anonymised": lambda market, names, seed: anonymised(market, names),
    "dates moved": lambda market, names, seed: altered(market, "dates"),
    "prices mirrored": lambda market, names, seed: altered(market, "prices"),
    "news shuffled": news_shuffled,
}
EVIDENCE = ("prices mirrored", "news shuffled")


def later_altered(market: MarketData, bar: int, after_close: bool) -> MarketData:
    """The market with everything unlike itself that is known only after the decision of `bar`.

    What rose later falls, what was said later says something else, and what was announced later never is.
    """
    level, later = market.close[bar] ** 2, np.arange(len(market)) > bar
    offset = np.timedelta64(24, "h") if after_close else market.session_close
    cutoff = market.dates[bar].astype("datetime64[s]") + offset

    def turned(prices: np.ndarray | None, other: np.ndarray | None = None) -> np.ndarray | None:
        source = prices if other is None else other
        return None if prices is None or source is None else np.where(later, 1.21 * level / source, prices)

    volume = market.volume
    texts = [
        replace(text, text="Nothing of the kind was said.") if text.known_at > cutoff else text
        for text in market.texts
    ]
    return replace(
        market,
        close=np.where(later, 1.21 * level / market.close, market.close),
        open=turned(market.open),
        high=turned(market.high, market.low),
        low=turned(market.low, market.high),
        volume=None if volume is None else np.where(later, 3 * volume + 1, volume),
        texts=tuple(texts),
        events=tuple(event for event in market.events if event.known_at <= cutoff),
        context=tuple(_beside(other, cutoff, after_close) for other in market.context),
    )


def all_later_altered(markets: Markets, day: np.datetime64, after_close: bool) -> dict[str, MarketData]:
    """Every market altered after its last bar up to a day; those that begin later stay."""
    found = {}
    for symbol, market in markets.items():
        bar = int(np.searchsorted(market.dates, day, side="right")) - 1
        found[symbol] = market if bar < 0 else later_altered(market, bar, after_close)
    return found


def _beside(market: MarketData, cutoff: np.datetime64, after_close: bool) -> MarketData:
    """A market beside, altered after its last bar that had closed by the cutoff."""
    bar = int(np.searchsorted(market.dates.astype("datetime64[s]") + market.session_close, cutoff, side="right")) - 1
    return market if bar < 0 else later_altered(market, bar, after_close)


class Delayed:
    """A policy that is shown each day what was known the bar before, with the account as it is."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """The policy's own observer, a bar late."""
        return _DelayedObserver(self._policy.observer(markets, fill))  # type: ignore[return-value]

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """As the policy."""
        return self._policy.decide(observations, uniforms)

    def table(
        self, observations: Sequence[Observation], on_progress: Callable[[int, int], None]
    ) -> "PolicyTable | Delayed":
        """As the policy, where it has one."""
        build: Any = getattr(self._policy, "table", None)
        found: PolicyTable | Delayed = self if build is None else build(observations, on_progress)
        return found


class _DelayedObserver:
    """An observer whose every bar is the one before."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    @property
    def finite(self) -> bool:
        return self._observer.finite

    def memories(self, symbols: Sequence[str]) -> list[EpisodeMemory] | None:
        return self._observer.memories(symbols)

    def remember(self, memory: EpisodeMemory, raw: Mapping[str, np.ndarray], equity: np.ndarray, i: int) -> None:
        self._observer.remember(memory, raw, equity, i)

    def observe(
        self, raw: Mapping[str, np.ndarray], memories: Sequence[EpisodeMemory] | None = None
    ) -> list[Observation]:
        return self._observer.observe({**raw, "bar": np.maximum(raw["bar"] - 1, 0)}, memories)

    def every_state(self, symbol: str, start: int, length: int, scheme: PositionScheme) -> list[Observation]:
        return self._observer.every_state(symbol, max(start - 1, 0), length, scheme)
