"""Agent or rule, a period it has not seen, and the books of what it did."""

from flag_trl.backtest.compare import compare, in_words, learning_in_words, table
from flag_trl.backtest.figure import draw
from flag_trl.backtest.ledger import Ledger
from flag_trl.backtest.measures import intervals, measures
from flag_trl.backtest.rules import RandomLegal, always_cash, buy_and_hold
from flag_trl.backtest.run import prepared, run_backtest, run_baselines

__all__ = [
    "Ledger",
    "RandomLegal",
    "always_cash",
    "buy_and_hold",
    "compare",
    "draw",
    "in_words",
    "intervals",
    "learning_in_words",
    "measures",
    "prepared",
    "run_backtest",
    "run_baselines",
    "table",
]
