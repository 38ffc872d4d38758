"""Equity by NautilusTrader's engine and by the training environment, on the same decisions of SmolLM2-135M.

python -m benchmarks.live_parity --stocknet FOLDER --json outputs/live_parity.json

No costs, no latency, lots of one share in both, prices and money with eight digits at the exchange. MSFT's closes of
2020 to 2022 for `all_in` and `signed`; with --stocknet also opens, closes and tweets of four stocks in the second half
of 2015, filled at the next open. The policy is asked in the engine's run; the environment then plays with those
answers, and stops at the first observation that the engine did not show. Takes about ten minutes on two cores.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.command import add_model, command_line, write_json
from benchmarks.live_play import played
from benchmarks.machine import machine
from flag_trl.accounts import AllIn, PositionScheme, Signed
from flag_trl.agent import Agent, Decision
from flag_trl.backtest import run_backtest
from flag_trl.data import MarketData, Period, load_market
from flag_trl.envs import TradingRules
from flag_trl.live import Exchange, LiveSettings
from flag_trl.observations import ObservationConfig
from flag_trl.policy import LLMPolicy
from flag_trl.scripts.progress import progress_bar

CAPITAL = 100_000.0
SYMBOLS = ("AAPL", "MSFT", "T", "WMT")


class Once:
    """Asks an agent once for each observation; when closed, it knows no others."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self.closed = agent, False
        self.answers: dict[Any, tuple[int, np.ndarray]] = {}

    def observer(self, markets: Any, fill: Any) -> Any:
        return self._agent.observer(markets, fill)

    def decide(self, observations: Sequence[Any], uniforms: np.ndarray | None = None) -> Decision:
        new = [seen for seen in dict.fromkeys(observations) if seen not in self.answers]
        if new and self.closed:
            raise SystemExit(f"the environment shows what the engine did not: {new[0]}")
        if new:
            found = self._agent.decide(new)
            self.answers |= {
                seen: (int(action), chances)
                for seen, action, chances in zip(new, found.actions, found.probabilities, strict=True)
            }
        actions, chances = zip(*(self.answers[seen] for seen in observations), strict=True)
        return Decision(np.array(actions), np.array(chances))


def compared(
    agent: Agent, markets: dict[str, MarketData], period: Period, scheme: PositionScheme, fill: Any, title: str
) -> dict[str, Any]:
    """Largest relative differences of equity between the two, by our books and by the engine's own account."""
    policy = Once(agent)
    settings = LiveSettings(
        scheme=scheme, fill=fill, capital=CAPITAL * len(markets), exchange=Exchange(price_digits=8, money_digits=8)
    )
    first = min(market.dates[market.index_range(period.start, period.end)[0]] for market in markets.values())
    with tempfile.TemporaryDirectory() as folder, progress_bar(title) as tell:
        with played(policy, markets, settings, (first, period.end), Path(folder), tell) as (outcome, journal):
            totals, fills = list(journal.rows("totals")), sum(1 for _ in journal.rows("fills"))
            notices = sum(1 for _ in journal.rows("notices"))
    policy.closed = True
    rules = TradingRules(scheme=scheme, fill=fill, initial_capital=CAPITAL, lot_size=1.0)
    ledgers = run_backtest(policy, markets, [period], rules)
    environment = sum(ledger.equity["equity"].to_numpy() for ledger in ledgers)
    ours, engines = (np.array([row[name] for row in totals]) for name in ("equity", "engine_equity"))
    return {
        "bars": len(ours),
        "decisions": outcome.decisions,
        "fills": fills,
        "fills in the environment": sum(len(ledger.trades) for ledger in ledgers),
        "notices": notices,
        "equity at the end": float(ours[-1]),
        "largest difference, our books": float(np.abs(ours / environment - 1).max()),
        "largest difference, the engine's account": float(np.abs(engines / environment - 1).max()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, print a table; 1 where anything differs by more than a millionth."""
    parser = command_line("live_parity", __doc__)
    add_model(parser)
    parser.add_argument("--stocknet", metavar="FOLDER", help="StockNet's data, for fills at the next open")
    args = parser.parse_args(argv)
    policy = LLMPolicy.from_pretrained(args.model)
    closes = Agent(policy, ObservationConfig(past_returns=3))
    years = Period("years", "2020-01-02", "2022-12-28")
    msft = {"MSFT": load_market("sample", "MSFT")}
    found = {
        f"MSFT, {scheme.name}, same close": compared(closes, msft, years, scheme, "same_close", scheme.name)
        for scheme in (AllIn(), Signed())
    }
    if args.stocknet:
        config = replace(closes.observation, news_items=2, news_budget=40, news_selector="combined")
        tweets, markets = Agent(policy, config), {symbol: load_market(args.stocknet, symbol) for symbol in SYMBOLS}
        half = Period("half", "2015-07-01", "2015-12-31")
        for scheme in (AllIn(), Signed()):
            name = f"{', '.join(SYMBOLS)}, {scheme.name}, next open"
            found[name] = compared(tweets, markets, half, scheme, "next_open", name)
    grid = Table(title="Engine against environment", title_justify="left")
    for header in ("", *next(iter(found.values()))):
        grid.add_column(header, justify="right" if header else "left")
    for name, row in found.items():
        grid.add_row(
            name,
            *(
                f"{value:,.2f}" if key.startswith("equity") else f"{value:.1e}" if "diff" in key else f"{value}"
                for key, value in row.items()
            ),
        )
    Console(width=150).print(grid)
    write_json(args.json, {"machine": machine(), "compared": found})
    worst = max(value for row in found.values() for key, value in row.items() if "difference" in key)
    return 1 if worst > 1e-6 else 0


if __name__ == "__main__":
    sys.exit(main())
