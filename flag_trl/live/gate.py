"""What of a feed is believed: bars and prices are looked at one by one before anything is made of them."""

import math

from flag_trl.live.events import ClockTick, Halt, MarketEvent, NewsItem, PriceBar, Quote

HIGHEST = 1e9
"""Prices and volumes above it are no prices or volumes of anything."""
HIGHEST_VOLUME = 1e13
ROUNDING = 1e-6
"""By so much may an open or close lie beyond a high or low: prices that were adjusted have been rounded."""


class Gate:
    """Admits what is sound.

    Parameters
    ----------
    last_closes : dict of str to float
        The last close of each symbol before the run.
    max_jump : float
        Change of a price, as a fraction, beyond which it is not believed. Such a symbol rests until its price comes
        back: after a split nothing trades until somebody has put the prices onto one scale.

    Attributes
    ----------
    distrusted : set of str
        Symbols whose last price was not believed; at what price they could be traded is not known.
    """

    def __init__(self, last_closes: dict[str, float], max_jump: float) -> None:
        self._closes = dict(last_closes)
        self._max_jump = max_jump
        self._now = 0
        self._bars: dict[str, int] = {}
        self.distrusted: set[str] = set()

    def refusal(self, event: MarketEvent) -> str | None:
        """Why it is not believed; None for what is, which is then remembered."""
        why = self._refusal(event)
        if why is None:
            self._now = max(self._now, event.ts)
            if isinstance(event, (Quote, PriceBar)):
                self.distrusted.discard(event.symbol)
        return why

    def _refusal(self, event: MarketEvent) -> str | None:
        if not isinstance(event, ClockTick) and event.symbol not in self._closes:
            return f"nobody asked for {event.symbol}"
        if event.ts < self._now:
            return "the clock ran backwards"
        if isinstance(event, (ClockTick, NewsItem, Halt)):
            return None
        if isinstance(event, Quote):
            return self._unsound_price(event.symbol, "price", event.price)
        return self._unsound_bar(event)

    def _unsound_bar(self, bar: PriceBar) -> str | None:
        if bar.ts <= self._bars.get(bar.symbol, -1):
            return "there was a bar of this moment already"
        prices = {name: getattr(bar, name) for name in ("open", "high", "low", "close")}
        for name, price in prices.items():
            why = None if price is None else self._unsound_price(bar.symbol, name, price)
            if why:
                return why
        given = [price for price in prices.values() if price is not None]
        above = bar.high is not None and bar.high * (1.0 + ROUNDING) < max(given)
        if above or bar.low is not None and bar.low * (1.0 - ROUNDING) > min(given):
            return f"low {bar.low} and high {bar.high} do not enclose open and close"
        if bar.volume is not None and not 0.0 <= bar.volume <= HIGHEST_VOLUME:
            return f"volume is {bar.volume}"
        self._bars[bar.symbol] = bar.ts
        self._closes[bar.symbol] = bar.close
        return None

    def _unsound_price(self, symbol: str, name: str, price: float) -> str | None:
        if not (math.isfinite(price) and 0.0 < price <= HIGHEST):
            self.distrusted.add(symbol)
            return f"{name} is {price}"
        last = self._closes[symbol]
        if abs(price / last - 1.0) > self._max_jump:
            self.distrusted.add(symbol)
            return f"{name} {price:g} is {price / last - 1.0:+.0%} from the last close, {last:g}"
        return None
