"""Accounts of several symbols as one, brought back to equal parts at each close that all of them share."""

from collections.abc import Sequence

import pandas as pd

from flag_trl.backtest import Ledger


def pooled(ledgers: Sequence[Ledger]) -> pd.Series:
    """Daily returns of the pool, by date; of several periods of a symbol, one after another.

    Between two days that all symbols traded an account keeps what it earned on days of its own. After a ruin it earns
    nothing.
    """
    by_symbol: dict[str, list[pd.Series]] = {}
    for ledger in ledgers:
        curve = pd.Series(ledger.equity["equity"].to_numpy(), index=ledger.equity["date"].to_numpy())
        by_symbol.setdefault(ledger.symbol, []).append(curve)
    counts = {len(curves) for curves in by_symbol.values()}
    assert len(counts) == 1, "symbols differ in their periods"
    return pd.concat([_of_period(period) for period in zip(*by_symbol.values(), strict=True)])


def closes(ledgers: Sequence[Ledger]) -> pd.DataFrame:
    """Returns of the assets themselves on the days of `pooled`, a column a symbol; one period."""
    known = {
        ledger.symbol: pd.Series(ledger.equity["close"].to_numpy(), index=ledger.equity["date"].to_numpy())
        for ledger in ledgers
    }
    return pd.concat(known, axis=1, join="inner").pct_change().iloc[1:]


def _of_period(curves: Sequence[pd.Series]) -> pd.Series:
    return pd.concat(curves, axis=1, join="inner").pct_change().iloc[1:].fillna(0.0).mean(axis=1)
