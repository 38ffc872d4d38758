"""Several policies over one period: their figures, a table, and what it says in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from flag_trl.backtest.ledger import Ledger
from flag_trl.backtest.measures import intervals, measures, nulls
from flag_trl.metrics import mean_difference_interval, mean_interval

Figures = dict[str, Any]
BENCHMARK = "buy_and_hold"
ONE_SIDED = 0.95


def compare(ledgers: Mapping[str, Ledger], random: Sequence[Ledger]) -> dict[str, Figures]:
    """Measure policies over one period.

    Parameters
    ----------
    ledgers : mapping of str to Ledger
        By policy; ``buy_and_hold`` must be among them, all over the same period.
    random : sequence of Ledger
        Draws of the random policy, reported by their means as ``random``.

    Returns
    -------
    dict
        By policy the figures of `measures`, and ``interval``, those of `intervals`.
    """
    figures: dict[str, Figures] = {
        name: {**measures(ledger), "interval": intervals(ledger, ledgers[BENCHMARK])}
        for name, ledger in ledgers.items()
    }
    draws = [measures(ledger) for ledger in random]
    figures["random"] = {
        convention: {key: _mean([draw[convention][key] for draw in draws]) for key in draws[0][convention]}
        for convention in draws[0]
    }
    sharpes = [draw["standard"]["SR"] for draw in draws if draw["standard"]["SR"] is not None]
    low, high = np.quantile(sharpes, [0.025, 0.975]) if sharpes else (None, None)
    figures["random"]["interval"] = {"SR": [low, high], "SR_minus_buy_and_hold": [None, None, None]}
    return figures


def table(title: str, figures: Mapping[str, Figures]) -> Table:
    """The figures of one period for the terminal."""
    grid = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    grid.add_column("policy")
    for header in ("CR %", "SR", "95 % of SR", "AV %", "MDD %", "days won", "trades won"):
        grid.add_column(header, justify="right")
    for header in ("| CR %", "SR", "AV %", "MDD %"):
        grid.add_column(header, justify="right", style="dim")
    for name, found in figures.items():
        standard, bench = found["standard"], found["investorbench"]
        low, high = found["interval"]["SR"]
        grid.add_row(
            name.replace("_", " "),
            *(_number(standard[key], digits) for key, digits in (("CR", 1), ("SR", 2))),
            "-" if low is None else f"[{low:.1f}, {high:.1f}]",
            *(_number(standard[key], 1) for key in ("AV", "MDD")),
            *(_number(standard[key], 0) for key in ("win_rate_days", "win_rate_trades")),
            *(_number(bench[key], digits) for key, digits in (("CR", 1), ("SR", 2), ("AV", 1), ("MDD", 1))),
        )
    return grid


def in_words(ledger: Ledger, figures: Mapping[str, Figures], name: str = "trained") -> str:
    """What one policy did and whether that can be told from Buy & Hold."""
    own, bench = figures[name]["standard"], figures[BENCHMARK]["standard"]
    positions = ledger.equity["position"].to_numpy()[1:]
    text = (
        f"The {name} policy ended at {own['CR']:+.1f} %, Buy & Hold at {bench['CR']:+.1f} %. It was invested on "
        f"{100 * np.mean(positions != 0):.0f} % of the days; orders filled: {len(ledger.trades)}. "
    )
    for side, position in (("always long", 1), ("always in cash", 0), ("always short", -1)):
        if np.mean(positions == position) >= ONE_SIDED:
            text += f"That is {side} by another name. "
    difference, low, high = figures[name]["interval"]["SR_minus_buy_and_hold"]
    if low is None:
        why = "one of the two has none" if difference is None else "there are too few days"
        return text + f"Its Sharpe ratio cannot be compared with that of Buy & Hold: {why}."
    if low == high == 0:
        return text + "Day by day its equity is that of Buy & Hold."
    if low > 0:
        verdict = "above zero: it did better, in this one period, than chance explains"
    elif high < 0:
        verdict = "below zero: it did worse than Buy & Hold by more than chance explains"
    else:
        verdict = "both signs are within it: this period cannot tell the two apart"
    return (
        text
        + f"Its Sharpe ratio less that of Buy & Hold is {difference:+.2f}, 95 % [{low:+.2f}, {high:+.2f}]; {verdict}."
    )


def learning_in_words(history: Sequence[Mapping[str, float]]) -> tuple[str, Figures]:
    """Whether the return per episode rose from the first third of training to the last.

    Parameters
    ----------
    history : sequence of mappings
        One logged training step each, with ``log_return`` of its accounts and ``buy_and_hold`` of its windows.

    Returns
    -------
    text : str
    figures : dict
        ``as_earned`` and ``less_buy_and_hold``, each with mean and 95 % interval over the steps of ``first_third`` and
        ``last_third`` and the ``difference`` of the last less the first, log returns in percent.
    """
    third = max(len(history) // 3, 1)
    earned = np.array([100 * row["log_return"] for row in history])
    excess = earned - [100 * row["buy_and_hold"] for row in history]
    figures = {
        key: {
            "first_third": _with_interval(values[:third]),
            "last_third": _with_interval(values[-third:]),
            "difference": nulls(mean_difference_interval(values[-third:], values[:third])),
        }
        for key, values in (("as_earned", earned), ("less_buy_and_hold", excess))
    }
    lines = [f"Mean log return an episode, over the {third} first and the {third} last of {len(history)} updates:"]
    for key, found in figures.items():
        first, last = (_in_brackets(*found[part]) for part in ("first_third", "last_third"))
        change = _in_brackets(*found["difference"])
        lines.append(f"  {key.replace('_', ' ')}: {first} at first, {last} at last; change {change}.")
    _, low, high = figures["less_buy_and_hold"]["difference"]
    if low is None or high is None or low <= 0 <= high:
        lines.append("  No rise can be claimed: the change against Buy & Hold may as well be the luck of the windows.")
    else:
        lines.append(
            f"  Against Buy & Hold the return {'rose' if low > 0 else 'fell'}. A policy that is invested part of the "
            "time gains on Buy & Hold wherever its windows fall, so this alone is not yet skill."
        )
    return "\n".join(lines), figures


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _with_interval(values: np.ndarray) -> list[float | None]:
    return nulls([float(values.mean()), *mean_interval(values)])


def _in_brackets(mean: float | None, low: float | None, high: float | None) -> str:
    return f"{mean:+.2f} %" + ("" if low is None else f" [{low:+.2f}, {high:+.2f}]")
