"""From the environment's arrays to one `Observation` an account."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from flag_trl.accounts import POSITION_NAMES, PositionScheme
from flag_trl.data import COMPANY, MarketData, MarketView, anonymised
from flag_trl.observations.chart import Chart, candles
from flag_trl.observations.config import ObservationConfig
from flag_trl.observations.market_text import TextPart, market_parts, market_text
from flag_trl.observations.news import day_news, ranked_news
from flag_trl.observations.numbers import Numbers, market_numbers
from flag_trl.observations.observation import Observation
from flag_trl.observations.reflections import EpisodeMemory

logger = logging.getLogger(__name__)
Markets: TypeAlias = Mapping[str, MarketData]


class MarketPart(NamedTuple):
    """What observations of one symbol on one day have in common; see `Observation`."""

    market_text: str
    numbers: Numbers | None
    image: Chart | None


class Observer:
    """Builds observations; the market part of a day is written once.

    Parameters
    ----------
    markets : mapping of str to MarketData
        By symbol; the environment numbers them in sorted order.
    config : ObservationConfig
        What an observation holds.
    fill : {"next_open", "same_close"}
        With ``next_open`` the decision falls between the close and the next open, so texts of the evening are known;
        with ``same_close`` it falls at the close.
    length : callable, default len
        Length of a text in the unit of the budgets.
    image_size : int
        Width and height of charts, in pixels.

    Attributes
    ----------
    config : ObservationConfig
        With the names that `anonymise` puts into texts.

    Raises
    ------
    ValueError
        If the configuration shows what stands beside a market, and nothing does.
    """

    def __init__(
        self,
        markets: Markets,
        config: ObservationConfig,
        fill: Literal["next_open", "same_close"],
        length: Callable[[str], int] = len,
        image_size: int = 224,
    ) -> None:
        self._symbols = sorted(markets)
        own = [markets[symbol] for symbol in self._symbols]
        self._query = config.news_query
        if config.context and not all(market.context for market in own):
            raise ValueError("the observation has a context, and a market has none beside it; give --context again")
        if config.next_event and not any(market.events for market in own):
            raise ValueError("the observation has events, and no market has any; give --events again")
        self.config = replace(config, news_query=(COMPANY,)) if config.anonymise and config.news_query else config
        self.follow(markets)
        self._after_close = fill == "next_open"
        self._length = length
        self._days: dict[tuple[int, int], MarketPart] = {}
        self._cues: dict[tuple[int, int], str] = {}
        self._image_size = image_size
        self._short: set[str] = set()

    def follow(self, markets: Markets) -> None:
        """Look at the same markets some bars and texts later; what was written of the bars before is kept."""
        own = [markets[symbol] for symbol in self._symbols]
        self._markets = [anonymised(market, self._query) for market in own] if self.config.anonymise else own

    def memories(self, symbols: Sequence[str]) -> list[EpisodeMemory] | None:
        """Empty memories, one an account, at the start of an episode; None where nothing is remembered."""
        return [EpisodeMemory(symbol) for symbol in symbols] if self.config.reflections else None

    def remember(self, memory: EpisodeMemory, raw: Mapping[str, np.ndarray], equity: np.ndarray, i: int) -> None:
        """Bring the memory of account `i` up to the close that `raw` and `equity`, both of N accounts, describe."""
        symbol, bar = int(raw["symbol"][i]), int(raw["bar"][i])
        since_entry = float(raw["return_since_entry"][i])
        memory.update(
            bar, int(raw["position"][i]), float(equity[i]), since_entry, lambda opened: self.cue(symbol, opened)
        )

    def observe(
        self, raw: Mapping[str, np.ndarray], memories: Sequence[EpisodeMemory] | None = None
    ) -> list[Observation]:
        """Describe each account.

        Parameters
        ----------
        raw : mapping of arrays
            An observation of `TradingVectorEnv`, N accounts.
        memories : sequence of EpisodeMemory, length N, optional
            What each account remembers of its own trades; without them, nothing.

        Returns
        -------
        list of Observation, length N
        """
        legal = raw["legal"].astype(bool)
        return [
            self._observation(int(symbol), int(bar), self._account_text(raw, i, memories), legal[i])
            for i, (symbol, bar) in enumerate(zip(raw["symbol"], raw["bar"], strict=True))
        ]

    def every_state(self, symbol: str, start: int, length: int, scheme: PositionScheme) -> list[Observation]:
        """Every observation that an account can make in a window; it opens flat.

        Parameters
        ----------
        symbol, start, length
            The window.
        scheme : PositionScheme
            Its positions are an account's states.

        Returns
        -------
        list of Observation
            By day, and by position in the order of ``scheme.positions``; the first day has the flat account alone.

        Raises
        ------
        ValueError
            If the account text says more than the position, so that its states are not finitely many.
        """
        if not self.finite:
            raise ValueError(
                f"with {self.config.endless} there is no end of states; choose account_text position alone"
            )
        number = self._symbols.index(symbol)
        legal = scheme.legal_actions(np.array(scheme.positions))
        return [
            self._observation(number, bar, _position_text(position), allowed)
            for bar in range(start, start + length)
            for position, allowed in zip(scheme.positions, legal, strict=True)
            if bar > start or position == 0
        ]

    @property
    def finite(self) -> bool:
        """Whether a day has finitely many observations, one a position."""
        return self.config.endless is None

    def market_text(self, symbol: int, bar: int) -> str:
        """The text of the market part of one day; a function of symbol and day alone."""
        return self._day(symbol, bar).market_text

    def market_parts(self, symbol: int, bar: int) -> list[TextPart]:
        """What the market part of one day is made of, and what did not fit."""
        return market_parts(self.view(symbol, bar), self.config, self._length)

    def _observation(self, symbol: int, bar: int, account_text: str, legal: np.ndarray) -> Observation:
        market = self._day(symbol, bar)
        return Observation(market.market_text, account_text, tuple(legal.tolist()), market.numbers, market.image)

    def _day(self, symbol: int, bar: int) -> MarketPart:
        """What of a day does not depend on the account, made once."""
        key = (symbol, bar)
        if key not in self._days:
            view, config = self.view(symbol, bar), self.config
            parts = market_parts(view, config, self._length)
            self._report(symbol, bar, parts)
            numbers = market_numbers(view, config) if config.soft_input else None
            image = candles(view, config.chart_bars, self._image_size) if config.chart_bars else None
            self._days[key] = MarketPart(market_text(parts), numbers, image)
        return self._days[key]

    def view(self, symbol: int, bar: int) -> MarketView:
        """The market as of one day's decision, as the parts of the prompt are written from it."""
        return self._markets[symbol].as_of(bar, after_close=self._after_close)

    def _report(self, symbol: int, bar: int, parts: list[TextPart]) -> None:
        """Log what did not fit: the first day of each part as a warning, the others for those who look closer."""
        for part in parts:
            if part.left_out:
                level = logging.DEBUG if part.name in self._short else logging.WARNING
                self._short.add(part.name)
                day = self._markets[symbol].dates[bar]
                logger.log(level, "%s of %s on %s: %s left out", part.name, self._symbols[symbol], day, part.left_out)

    def cue(self, symbol: int, bar: int) -> str:
        """The first news of a day; empty where there is none."""
        key = (symbol, bar)
        if key not in self._cues:
            view = self.view(symbol, bar)
            self._cues[key] = next(iter(ranked_news(day_news(view), view, self.config, 1)), "")
        return self._cues[key]

    def _account_text(self, raw: Mapping[str, np.ndarray], i: int, memories: Sequence[EpisodeMemory] | None) -> str:
        text = _position_text(int(raw["position"][i]))
        if self.config.account_text == "full":
            cash, gain, drawdown = (100 * raw[key][i] for key in ("cash_share", "return_since_entry", "drawdown"))
            text += f" Cash {cash:.0f}%, since entry {gain:+.1f}%, drawdown {drawdown:.1f}%."
        if memories is not None and memories[i].closed:
            symbol, bar, config = int(raw["symbol"][i]), int(raw["bar"][i]), self.config
            text += " " + memories[i].text(
                bar, self.cue(symbol, bar), config.reflections, config.reflection_budget, self._length
            )
        return text.rstrip()


def _position_text(position: int) -> str:
    return f"Position: {POSITION_NAMES[position]}."
