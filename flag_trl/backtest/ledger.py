"""What one account did over one period, day by day and fill by fill."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flag_trl.data import Period
from flag_trl.metrics import simple_returns
from flag_trl.observations import EpisodeMemory, save_memories

EQUITY_FILE, TRADES_FILE, MEMORY_FILE = "equity.parquet", "trades.parquet", "memory.json"


@dataclass(frozen=True)
class Ledger:
    """One backtest of one symbol over one period of n decisions.

    Attributes
    ----------
    symbol : str
    period : Period
    periods_per_year : int
        Bars a year, for annualised measures.
    fill : str
        ``next_open`` or ``same_close``.
    equity : DataFrame, n + 1 rows
        One row a close, the first before any decision: ``date``, ``close``, ``equity`` (money), and for the bar that
        ends there ``position`` (-1, 0, 1 held over it), ``weight`` (of equity at the close), ``traded`` (money bought
        and sold), ``cost`` (commission, slippage and borrowing, money), ``action`` (its name) and ``p_<action>``
        (probabilities). The first row has no bar: zeros, an empty action and missing probabilities.
    trades : DataFrame
        One row a fill: ``date``, ``side`` (buy or sell), ``units``, ``price`` (slipped),
        ``cost`` (money), and ``trade_return`` on a fill that ends a long or a short: what the account gained from the
        position's opening to its end, costs included, as a fraction of the equity before; missing elsewhere.
    memory : EpisodeMemory, optional
        What the account remembered of its own trades at the end.
    """

    symbol: str
    period: Period
    periods_per_year: int
    fill: str
    equity: pd.DataFrame
    trades: pd.DataFrame
    memory: EpisodeMemory | None = None

    @property
    def returns(self) -> np.ndarray:
        """Simple returns of the account, shape (n,)."""
        return simple_returns(self.equity["equity"].to_numpy())

    def save(self, folder: str | Path) -> None:
        """Write ``equity.parquet`` and ``trades.parquet``, and ``memory.json`` where there is a memory."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.equity.to_parquet(folder / EQUITY_FILE, index=False)
        self.trades.to_parquet(folder / TRADES_FILE, index=False)
        if self.memory is not None:
            save_memories(folder / MEMORY_FILE, [self.memory])


@dataclass
class CashBook:
    """Cash and units of one account, kept from its fills alone and so independent of the environment's accounts.

    Attributes
    ----------
    cash, units : float
    commission : float
        Fraction of the money traded.
    """

    cash: float
    commission: float
    units: float = 0.0
    _cash_at_opening: float = 0.0

    def fill(self, units: float, price: float) -> float:
        """Book one fill; returns the trade's return where it ends a long or a short, else nan.

        An account without units is all cash, so a trade's return is the growth of cash between its opening and its
        end. A fill that turns a long into a short ends one trade and opens another.
        """
        ended = float("nan")
        left = self.units + units
        if abs(left) <= 1e-9 * abs(self.units):
            left = 0.0
        if self.units and self.units * left <= 0.0:
            self._pay(-self.units, price)
            ended = self.cash / self._cash_at_opening - 1.0
            self.units, units = 0.0, left
        if units:
            if not self.units:
                self._cash_at_opening = self.cash
            self._pay(units, price)
            self.units = left
        return ended

    def _pay(self, units: float, price: float) -> None:
        self.cash -= units * price + self.commission * abs(units * price)


def trade_table(
    infos: Mapping[str, np.ndarray], fill_dates: np.ndarray, initial_cash: float, commission: float
) -> pd.DataFrame:
    """The fills of one account, as ``Ledger.trades`` describes them.

    Parameters
    ----------
    infos : mapping of arrays, shape (n,)
        What `TradingVectorEnv` told after each step.
    fill_dates : ndarray of datetime64[D], shape (n,)
        Day on which each decision's order fills.
    initial_cash : float
    commission : float
        Fraction of the money traded.
    """
    book = CashBook(initial_cash, commission)
    rows = []
    for t, (filled, marked) in enumerate(zip(fill_dates, infos["date"], strict=True)):
        decided = (filled, *(infos[key][t] for key in ("units_traded", "fill_price", "cost", "borrow")))
        closing = (marked, *(infos[key][t] for key in ("closing_units", "closing_price", "closing_cost")), 0.0)
        for date, units, price, cost, borrow in (decided, closing):
            if units:
                ended = book.fill(units, price)
                rows.append((date, "buy" if units > 0 else "sell", abs(units), price, cost, ended))
            # The fee for a bar falls due at its close, before a position can be closed there.
            book.cash -= borrow
    return pd.DataFrame(rows, columns=["date", "side", "units", "price", "cost", "trade_return"])


def equity_table(
    infos: Mapping[str, np.ndarray],
    closes: np.ndarray,
    start_date: np.datetime64,
    initial_equity: float,
    actions: list[str],
    probabilities: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """The days of one account, as ``Ledger.equity`` describes them; `closes` has one entry more than the steps."""
    traded = np.abs(infos["units_traded"]) * np.nan_to_num(infos["fill_price"])
    traded = traded + np.abs(infos["closing_units"]) * np.nan_to_num(infos["closing_price"])
    cost = infos["cost"] + infos["borrow"] + infos["closing_cost"]
    return pd.DataFrame(
        {
            "date": np.concatenate([[start_date], infos["date"]]),
            "close": closes,
            "equity": np.concatenate([[initial_equity], infos["equity"]]),
            "position": np.concatenate([[0], infos["held_position"]]),
            "weight": np.concatenate([[0.0], infos["weight"]]),
            "traded": np.concatenate([[0.0], traded]),
            "cost": np.concatenate([[0.0], cost]),
            "action": ["", *actions],
            **{f"p_{name}": np.concatenate([[np.nan], values]) for name, values in probabilities.items()},
        }
    )
