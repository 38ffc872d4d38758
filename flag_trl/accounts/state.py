"""The state of N accounts that each hold cash and one asset."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass
class AccountState:
    """N accounts side by side; every array has shape (N,) and dtype float64, money in one currency.

    Attributes
    ----------
    cash : np.ndarray
        Money; the proceeds of a short sale included.
    units : np.ndarray
        Units of the asset held; negative when short.
    entry_equity : np.ndarray
        Equity just before the fill that opened the position now held, so that a return since entry bears the
        costs of the entry. Without meaning while flat.
    peak_equity : np.ndarray
        Highest equity at any mark so far.
    """

    cash: np.ndarray
    units: np.ndarray
    entry_equity: np.ndarray
    peak_equity: np.ndarray

    @classmethod
    def open(cls, n: int, capital: float) -> Self:
        """Open ``n`` accounts that hold ``capital`` in cash and nothing else; ValueError unless it is positive."""
        if not (math.isfinite(capital) and capital > 0.0):
            raise ValueError(f"capital is {capital}; an account needs a positive, finite amount of money to open")
        return cls(*(np.full(n, value) for value in (capital, 0.0, capital, capital)))

    @property
    def position(self) -> np.ndarray:
        """Sign of the units held, int8 of shape (N,): -1 short, 0 flat, 1 long."""
        return (self.units > 0.0).view(np.int8) - (self.units < 0.0).view(np.int8)

    def equity(self, price: np.ndarray) -> np.ndarray:
        """Cash plus holdings at ``price``, both of shape (N,)."""
        return self.cash + self.units * price

    def weight(self, price: np.ndarray) -> np.ndarray:
        """Holdings at ``price`` as a share of equity, shape (N,); 0 while flat, whatever the equity."""
        equity = self.equity(price)
        return np.divide(self.units * price, equity, out=np.zeros_like(equity), where=self.units != 0.0)

    def mark(self, price: np.ndarray) -> np.ndarray:
        """Equity at ``price``, shape (N,), remembered where it is a new peak."""
        equity = self.equity(price)
        np.maximum(self.peak_equity, equity, out=self.peak_equity)
        return equity
