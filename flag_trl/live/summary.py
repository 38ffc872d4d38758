"""What a run came to, from its journal."""

from dataclasses import dataclass

import numpy as np

from flag_trl.live.journal import Journal
from flag_trl.metrics import series_mean, sharpe_interval, simple_returns, standard_measures, win_rate_days

MOMENT = 1_000_000
"""Nanoseconds in which no price can have changed."""
LEAST = 20
"""Returns below which no interval is given."""


@dataclass(frozen=True)
class Summary:
    """Figures of one run; percent but for Sharpe ratios and counts, nan where undefined.

    Attributes
    ----------
    bars : int
        Moments at which the whole account was marked, less the first.
    cumulative, sharpe, volatility, drawdown, win_rate : float
        Of the whole account after costs; the win rate is over bars with a position.
    sharpe_interval, win_rate_interval : tuple of float
        95 %, by blocks of bars and by a variance that allows for dependence.
    turnover : float
        Of equity a year, purchases and sales both.
    exposure : float
        Mean share of equity that is held, long or short.
    commission : float
        Money.
    fills, orders, rejected, refused, limited : int
        What was traded; what the exchange rejected; what of the feed was not believed; how often a limit stood in the
        way.
    """

    bars: int
    cumulative: float
    sharpe: float
    sharpe_interval: tuple[float, float]
    volatility: float
    drawdown: float
    win_rate: float
    win_rate_interval: tuple[float, float]
    turnover: float
    exposure: float
    commission: float
    fills: int
    orders: int
    rejected: int
    refused: int
    limited: int


def summary(journal: Journal) -> Summary:
    """Measure a run."""
    moments, equity = marks(journal)
    years: int = journal.setting("markets")[journal.setting("symbols")[0]]["periods_per_year"]
    fills, notices = list(journal.rows("fills")), [row["kind"] for row in journal.rows("notices")]
    counts = {
        "fills": len(fills),
        "orders": sum(1 for _ in journal.rows("orders")),
        "rejected": sum(kind in ("rejected", "denied") for kind in notices),
        "refused": notices.count("refused"),
        "limited": notices.count("limit"),
    }
    if len(equity) < 2:
        nan = float("nan")
        return Summary(0, nan, nan, (nan, nan), nan, nan, nan, (nan, nan), nan, nan, 0.0, **counts)
    returns = simple_returns(equity)
    found = standard_measures(equity, years)
    held = _exposures(journal, moments, equity)
    gained = returns[held > 0] > 0
    traded = sum(row["quantity"] * row["price"] for row in fills)
    enough = len(returns) >= LEAST
    won = series_mean(100.0 * gained).interval[1:] if len(gained) >= LEAST else (float("nan"),) * 2
    return Summary(
        bars=len(returns),
        cumulative=found.CR,
        sharpe=found.SR,
        sharpe_interval=sharpe_interval(returns, years) if enough else (float("nan"),) * 2,
        volatility=found.AV,
        drawdown=found.MDD,
        win_rate=win_rate_days(returns, held),
        win_rate_interval=won,
        turnover=100.0 * traded / float(equity[:-1].mean()) / len(returns) * years,
        exposure=100.0 * float(held.mean()),
        commission=sum(row["commission"] for row in fills),
        **counts,
    )


def marks(journal: Journal) -> tuple[list[int], np.ndarray]:
    """Moments at which bars closed, and the account's equity then; what a stop's orders cost belongs to the last."""
    bars = {row["ts"] for row in journal.rows("accounts")}
    found: dict[int, float] = {}
    last, row = 0, None
    for row in journal.rows("totals"):
        last = row["ts"] if row["ts"] in bars else last
        # Where a stop's orders waited for another price, the next bar has it.
        if row["ts"] - last < MOMENT:
            found[last] = row["equity"]
    if row is not None:
        found[last] = row["equity"]
    return list(found), np.array(list(found.values()), dtype=float)


def _exposures(journal: Journal, moments: list[int], equity: np.ndarray) -> np.ndarray:
    """Share of equity held over each bar, after the fills at its beginning."""
    place = {ts: number for number, ts in enumerate(moments)}
    worth = np.zeros(len(moments))
    # The units that a bar ends with were held over it.
    for row in journal.rows("accounts"):
        if row["ts"] in place:
            worth[place[row["ts"]]] += abs(row["units"]) * row["price"]
    return worth[1:] / equity[1:]
