"""Accounts: cash, units, costs and position schemes. NumPy only, one array element an account."""

from flag_trl.accounts.costs import Costs
from flag_trl.accounts.rebalance import Fills, charge_borrow, rebalance
from flag_trl.accounts.schemes import POSITION_NAMES, AllIn, PositionScheme, Signed, Target, position_scheme
from flag_trl.accounts.state import AccountState

__all__ = [
    "POSITION_NAMES",
    "AccountState",
    "AllIn",
    "Costs",
    "Fills",
    "PositionScheme",
    "Signed",
    "Target",
    "charge_borrow",
    "position_scheme",
    "rebalance",
]
