"""Trades: bringing accounts to a target weight, costs included, and charging shorts for what they borrow."""

from dataclasses import dataclass

import numpy as np

from flag_trl.accounts.costs import Costs
from flag_trl.accounts.state import AccountState


@dataclass(frozen=True)
class Fills:
    """What was traded, one element an account, shape (N,).

    Attributes
    ----------
    units : np.ndarray
        Units bought (positive) or sold (negative); 0 where nothing was traded.
    price : np.ndarray
        Price paid or received, slippage included and commission not; NaN where nothing was traded.
    cost : np.ndarray
        Money lost to commission and slippage, against a trade at the reference price.
    """

    units: np.ndarray
    price: np.ndarray
    cost: np.ndarray


def rebalance(
    state: AccountState, price: np.ndarray, target_weight: np.ndarray, costs: Costs, lot_size: float = 0.0
) -> Fills:
    """Trade so that holdings are exactly ``target_weight`` of the equity that is left after the trade's own costs.

    With holdings x and equity E at the reference price p, and k the costs of the trade as a fraction of its notional,
    the holdings y afterwards solve ``y = w (E - k |y - x|)``, whence ``y - x = (w E - x) / (1 + w k)`` for a buy
    and ``(w E - x) / (1 - w k)`` for a sell. A target of 0 leaves exactly 0 units, a target of 1 exactly 0 cash.
    An account without positive equity can only close its position: any target means 0 there. Where units come in
    lots, y is rounded towards zero to a whole number of them, so that no more is spent than there is.

    Parameters
    ----------
    state : AccountState
        Changed in place.
    price : np.ndarray
        Reference price of the fill, shape (N,).
    target_weight : np.ndarray
        Holdings as a share of equity, shape (N,), in [-1, 1]; NaN leaves the account alone.
    costs : Costs
        Commission and slippage.
    lot_size : float
        Units are held in multiples of it, as shares are in ones; 0 trades any fraction of a unit.

    Returns
    -------
    Fills
    """
    holdings = state.units * price
    equity = state.cash + holdings
    if equity.min() <= 0.0:
        target_weight = np.where((equity <= 0.0) & ~np.isnan(target_weight), 0.0, target_weight)
    gap = target_weight * equity - holdings
    buying = gap > 0.0
    rate = _select(buying, costs.buy, -costs.sell)
    notional = gap / (1.0 + target_weight * rate)
    idle = np.isnan(target_weight)
    if idle.any():
        notional = np.where(idle, 0.0, notional)
    # Rounding would leave a last fraction of a unit, and with it a position that is not flat.
    traded = _select(target_weight == 0.0, -state.units, notional / price)
    if lot_size:
        traded = np.where(idle, 0.0, _whole_lots(state.units + traded, lot_size) - state.units)
        buying, notional = traded > 0.0, traded * price
        rate = _select(buying, costs.buy, -costs.sell)
    cost = notional * rate

    before = state.units
    state.units = before + traded
    # Plus zero: a negative amount times zero is a negative zero, which reads as -0 %.
    spent = (target_weight == 1.0) & (not lot_size)
    state.cash = (state.cash - notional - cost) * ~spent + 0.0
    opened = (before * state.units <= 0.0) & (state.units != 0.0)
    state.entry_equity = _select(opened, equity, state.entry_equity)
    slipped = price * _select(buying, 1.0 + costs.slippage, 1.0 - costs.slippage)
    return Fills(traded, slipped + _NAN_OR_0.take((traded != 0.0).view(np.int8)), cost)


def _whole_lots(units: np.ndarray, lot_size: float) -> np.ndarray:
    """Units rounded towards zero to lots; what rounding errors alone keep from a whole lot is one."""
    lots = units / lot_size
    return np.trunc(lots + np.copysign(1e-9 * np.maximum(np.abs(lots), 1.0), lots)) * lot_size


_NAN_OR_0 = np.array([np.nan, 0.0])


def _select(mask: np.ndarray, yes: np.ndarray | float, no: np.ndarray | float) -> np.ndarray:
    """`yes` where `mask` holds and `no` elsewhere, exactly, for finite numbers.

    Who buys and who sells is as good as random: np.where mispredicts every other branch and takes twice as long.
    """
    return yes * mask + no * ~mask


def charge_borrow(
    state: AccountState,
    price: np.ndarray,
    costs: Costs,
    periods_per_year: int | np.ndarray,
    where: np.ndarray | bool = True,
) -> np.ndarray:
    """Take one bar's borrowing fee, ``borrow_rate / periods_per_year`` of the short notional, from the cash.

    Parameters
    ----------
    state : AccountState
        Changed in place.
    price : np.ndarray
        Price at which the notional is taken, shape (N,).
    costs : Costs
        Gives the annual rate.
    periods_per_year : int or np.ndarray
        Bars a year, a number or shape (N,).
    where : np.ndarray or bool
        Accounts to charge, shape (N,) or True for all.

    Returns
    -------
    np.ndarray
        The fee charged, shape (N,), never negative.
    """
    if costs.borrow_rate == 0.0:
        return np.zeros_like(state.cash)
    fee = np.maximum(-state.units, 0.0) * price * (costs.borrow_rate / periods_per_year) * where
    state.cash = state.cash - fee
    return fee
