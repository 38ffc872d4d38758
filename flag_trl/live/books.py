"""Each symbol's part of the account, kept from the engine's fills as training keeps its accounts."""

from collections.abc import Mapping, Sequence

import numpy as np

from flag_trl.accounts import AccountState, Costs, PositionScheme, rebalance


class Books:
    """N symbols side by side, each with its own cash; together they are the engine's account.

    Parameters
    ----------
    symbols : sequence of str
        Sorted.
    capital : float
        At the start, an equal part for each.
    scheme : PositionScheme
    """

    def __init__(self, symbols: Sequence[str], capital: float, scheme: PositionScheme) -> None:
        self.symbols = list(symbols)
        self._place = {symbol: place for place, symbol in enumerate(symbols)}
        self._scheme = scheme
        self.state = AccountState.open(len(symbols), capital / len(symbols))
        self.prices = np.full(len(symbols), np.nan)

    def priced(self, symbol: str, price: float) -> None:
        """The market stands here now."""
        self.prices[self._place[symbol]] = price

    def mark(self, symbol: str, price: float) -> None:
        """A bar has closed: what is held is worth this, and counts for the highest equity so far."""
        self.priced(symbol, price)
        place = self._place[symbol]
        self.state.peak_equity[place] = max(self.state.peak_equity[place], self.equity(symbol))

    def filled(self, symbol: str, units: float, price: float, commission: float) -> None:
        """The engine has traded; units are negative for a sale."""
        place, state = self._place[symbol], self.state
        before, equity = float(state.units[place]), self.equity(symbol)
        state.units[place] = before + units
        state.cash[place] -= units * price + commission
        if state.units[place] != 0.0 and before * state.units[place] <= 0.0:
            state.entry_equity[place] = equity

    def units(self, symbol: str) -> float:
        """What is held."""
        return float(self.state.units[self._place[symbol]])

    def price(self, symbol: str) -> float:
        """At which the market stood last; nan before there was any."""
        return float(self.prices[self._place[symbol]])

    def cash(self, symbol: str) -> float:
        """Of the symbol's part."""
        return float(self.state.cash[self._place[symbol]])

    def equity(self, symbol: str) -> float:
        """Of the symbol's part, at the last price."""
        place = self._place[symbol]
        held = float(self.state.units[place])
        return float(self.state.cash[place]) + (held * float(self.prices[place]) if held else 0.0)

    def since_entry(self, symbol: str) -> float:
        """Return since the position was opened, costs of the opening included; 0 while flat."""
        place = self._place[symbol]
        held = self.state.units[place] != 0.0
        return self.equity(symbol) / float(self.state.entry_equity[place]) - 1.0 if held else 0.0

    @property
    def total(self) -> float:
        """Equity of all parts."""
        return sum(self.equity(symbol) for symbol in self.symbols)

    def wanted_units(self, symbol: str, weight: float, costs: Costs, lot_size: float) -> float:
        """Units to hold for a target weight at the last price, after the costs of getting there."""
        place = self._place[symbol]
        part = AccountState(*(values[place : place + 1].copy() for values in self._arrays()))
        rebalance(part, self.prices[place : place + 1], np.array([weight]), costs, lot_size)
        return float(part.units[0])

    def raw(self, bars: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The accounts of some symbols as the training environment describes them.

        Parameters
        ----------
        bars : mapping of str to int
            Symbols, sorted, to the index of their last bar.
        """
        places = np.array([self._place[symbol] for symbol in bars])
        state = AccountState(*(values[places] for values in self._arrays()))
        equity = state.equity(np.where(state.units != 0.0, self.prices[places], 0.0))
        sound = equity > 0.0
        cash_share = np.divide(state.cash, equity, out=np.ones_like(equity), where=sound)
        position = state.position
        return {
            "symbol": places,
            "bar": np.array(list(bars.values())),
            "position": position,
            "cash_share": cash_share,
            "return_since_entry": (equity / state.entry_equity - 1.0) * (position != 0),
            "drawdown": 1.0 - equity / state.peak_equity,
            "legal": self._scheme.legal_actions(position).astype(np.int8),
        }

    def _arrays(self) -> tuple[np.ndarray, ...]:
        state = self.state
        return state.cash, state.units, state.entry_equity, state.peak_equity
