"""One run of a study, from its recipe to the books of its accounts; what is finished is not done again."""

import json
import os
import shutil
import time
import traceback
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import torch

from flag_trl.accounts import Costs
from flag_trl.agent import Agent, Decider
from flag_trl.backtest import Ledger, buy_and_hold, prepared, run_backtest
from flag_trl.data import MarketData
from flag_trl.observations import Observer
from flag_trl.scripts import train
from flag_trl.scripts.backtest import check_training
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.trainer.preparation import arrange

from .. import store
from ..evaluation import TRAINED, UNTRAINED

HOLD = "buy_and_hold"
RECORD, SETTINGS, LOG, EQUITY = "run.json", "settings.json", "log.txt", "equity.parquet"
Books = dict[tuple[str, str, float], list[Ledger]]
"""A ledger a symbol, by strategy, test period and commission."""


@dataclass(frozen=True)
class Run:
    """A training recipe with one seed, or the model as it is before training.

    Attributes
    ----------
    recipe : str
        Its name: that of its file, without the ending.
    words : tuple of str
        Its command line, without seed and output folder.
    seed : int or None
        None for the untrained model and Buy & Hold.
    folder : Path
        Holds the trained policy and its books.
    costs_bps : tuple of float
        Commissions at which the test periods are traded, beside the recipe's own.
    """

    recipe: str
    words: tuple[str, ...]
    seed: int | None
    folder: Path
    costs_bps: tuple[float, ...]

    @property
    def name(self) -> str:
        """What it is called in print."""
        return f"{self.recipe}, {UNTRAINED if self.seed is None else f'seed {self.seed}'}"

    @property
    def command_line(self) -> list[str]:
        """Arguments of ``flag-trl train``."""
        seed = [] if self.seed is None else ["--seed", str(self.seed)]
        return [*self.words, *seed, "--output_dir", str(self.folder)]

    @property
    def done(self) -> bool:
        """Whether its books are there."""
        return (self.folder / RECORD).is_file()

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        log = self.folder / LOG
        lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "starting")


def claim(run: Run, recipe: Recipe, markets: Mapping[str, MarketData]) -> None:
    """Make the run's folder its own, with all that its books depend on.

    Raises
    ------
    SystemExit
        If the folder holds a run under other settings; what differs is named.
    """
    settings = {
        **recipe.configuration,
        "seed": run.seed,
        "unseen_symbols": recipe.market.unseen_symbols,
        "test_periods": [str(period) for period in recipe.periods()[2]],
        "costs_bps": run.costs_bps,
        "data": {symbol: store.market_digest(market) for symbol, market in markets.items()},
    }
    own, file = json.loads(json.dumps(settings, default=str)), run.folder / SETTINGS
    if not file.is_file():
        store.replace_text(file, json.dumps(own, indent=1) + "\n")
        return
    found = json.loads(file.read_text())
    differ = sorted(key for key in own.keys() | found.keys() if own.get(key) != found.get(key))
    if differ:
        raise SystemExit(
            f"{run.folder} holds a run under other settings ({', '.join(differ)}); remove it, or name another "
            "--output_dir"
        )


def end_with_parent() -> None:
    """Let this process end when the one that started it does, however that one ends."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def play(run: Run, threads: int) -> float:
    """Train and test, with what is printed in the run's log. Returns the seconds that it took."""
    began = time.monotonic()
    torch.set_num_threads(threads)
    with (run.folder / LOG).open("a", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        try:
            recipe = read_recipe(run.command_line)
            if run.seed is not None:
                resumed = ["--resume_from_checkpoint", "auto"] if any(run.folder.glob("checkpoint-*")) else []
                train.main([*run.command_line, *resumed])
            trained_s = time.monotonic() - began
            print(f"{run.name}: test periods", flush=True)
            notes = _test(run, recipe)
        except BaseException:
            traceback.print_exc()
            raise
    took = time.monotonic() - began
    record = {"trained_s": round(trained_s, 1), "seconds": round(took, 1), "conventions": notes}
    store.replace_text(run.folder / RECORD, json.dumps(record, indent=1) + "\n")
    for checkpoint in run.folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return took


def _test(run: Run, recipe: Recipe) -> list[str]:
    """Trade the test periods at every commission and write the books; returns how it was done."""
    agent = recipe.agent() if run.seed is None else Agent.from_pretrained(run.folder)
    agent.policy.to(recipe.training.device)
    arrange(agent, recipe.training)
    markets, periods, rules = recipe.markets(unseen=True), recipe.test_periods(), recipe.rules()
    notes = [*recipe.conventions(agent), *check_training(agent, recipe, periods)]
    players: dict[str, tuple[Decider, Observer | None]] = {
        UNTRAINED if run.seed is None else TRAINED: prepared(agent, markets, periods, rules)
    }
    if run.seed is None:
        players[HOLD] = (buy_and_hold(rules.scheme), None)
    found = []
    for strategy, (decider, observer) in players.items():
        for cost in dict.fromkeys([rules.costs.commission_bps, *run.costs_bps]):
            priced = replace(rules, costs=Costs(cost, rules.costs.slippage_bps, rules.costs.borrow_rate))
            for one in run_backtest(decider, markets, periods, priced, observer=observer):
                label: dict[str, Any] = {
                    "strategy": strategy,
                    "symbol": one.symbol,
                    "period": one.period.name,
                    "cost_bps": cost,
                }
                found.append(one.equity.assign(**label))
    store.save_table(run.folder / EQUITY, pd.concat(found, ignore_index=True))
    return notes


def books(run: Run, recipe: Recipe) -> Books:
    """What a finished run's accounts did day by day; their fills are not kept."""
    periods = {period.name: period for period in recipe.periods()[2]}
    found: Books = {}
    keys = ["strategy", "period", "cost_bps", "symbol"]
    for (strategy, period, cost, symbol), days in pd.read_parquet(run.folder / EQUITY).groupby(keys, sort=False):
        ledger = Ledger(
            symbol=str(symbol),
            period=periods[str(period)],
            periods_per_year=recipe.market.periods_per_year,
            fill=recipe.trading.fill,
            equity=days.reset_index(drop=True),
            trades=pd.DataFrame(columns=["trade_return"]),
        )
        found.setdefault((str(strategy), str(period), float(str(cost))), []).append(ledger)
    return found
