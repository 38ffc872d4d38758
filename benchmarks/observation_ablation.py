"""Which observations help? The same training with one part of the prompt added at a time, on real days.

python -m benchmarks.observation_ablation --investor-bench FOLDER --stocknet FOLDER

Two markets: MSFT of INVESTOR-BENCH (one stock, long news, filings) and a pool of StockNet's stocks (tweets, no
filings), tested on later dates and on stocks that training never saw. Every variant shows three past returns and one
more part; `soft` hands the numbers to the trained layers as soft tokens instead. Prompts have at most 100 tokens. All
else is that of recipes/stocknet/pooled.yaml: exact gradient, reward timing_return, 5 bp commission, texts known after
the close.

The table gives the test Sharpe ratio of an equal-weight portfolio of the greedy accounts, mean over seeds, and its
difference to `prices`: paired by day and seed, 95 % interval by the studentised block bootstrap. The interval says
what other days would do to it; the spread of the seeds stands beside it. Turnover is money traded a day over equity:
at 5 bp, going from long to short each day costs a quarter of the equity a year.

A run that is finished is not run again, one that was interrupted goes on from its last checkpoint. More: `--seeds 10`,
`--whole --symbols all --steps 400`.
"""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars
from rich.console import Console

from benchmarks.ablation_report import number, report, tables
from benchmarks.command import add_model, command_line, write_json
from benchmarks.machine import machine
from benchmarks.planted_run import digest
from benchmarks.prompt import short_template
from flag_trl.backtest import Ledger, run_backtest
from flag_trl.backtest.measures import nulls
from flag_trl.data import MarketData, Period
from flag_trl.metrics import sharpe_ratio
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.scripts.train import build_trainer, checkpoint_to_resume

RECIPE = Path(__file__).parents[1] / "recipes" / "stocknet" / "pooled.yaml"
MAX_TOKENS = 100
TEMPLATE = short_template("Trade the stock.")

NOTHING_ELSE: dict[str, Any] = {"past_returns": 3, "indicators": [], "news_items": 0, "filing_budget": 0}
INDICATORS = ["rsi14", "macd26", "bollinger20", "momentum20", "volatility20"]
VARIANTS: dict[str, dict[str, Any]] = {
    "prices": {},
    "indicators": {"indicators": INDICATORS},
    "news": {"news_items": 2, "news_budget": 40},
    "filings": {"filing_budget": 40},
    "memory": {"memory_items": 2, "memory_budget": 40},
    "soft": {"indicators": INDICATORS, "numbers": "soft"},
}
MSFT: dict[str, Any] = {
    "symbols": ["MSFT"],
    "unseen_symbols": [],
    "episode_stride": 4,
    "train_period": ["2020-04-15", "2020-08-31"],
    "validation_period": ["2020-09-01", "2020-09-30"],
    "test_periods": {"paper_window": ["2020-10-01", "2021-05-05"]},
    "notes": [
        "SmolLM2's training text reaches past this sample, so it may have read about every day of it",
        "survivorship - one stock, chosen by the benchmark's authors after the test period",
    ],
}
POOL: dict[str, Any] = {
    "train_period": ["2014-07-01", "2014-12-31"],
    "validation_period": ["2015-01-02", "2015-02-27"],
    "test_periods": {"later": ["2015-03-02", "2015-06-30"]},
}
"""Half of the recipe's days, to save time."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not finished, print the tables, write the figures."""
    args = _parser().parse_args(argv)
    disable_progress_bars()
    console = Console(stderr=True)
    runs = []
    for market in (name for name in ("msft", "stocknet") if getattr(args, _folder_option(name))):
        variants = [v for v in args.variants if not (market == "stocknet" and v == "filings")]
        plan = [(variant, seed) for variant in variants for seed in range(args.seeds)]
        for place, (variant, seed) in enumerate(plan, 1):
            began = time.monotonic()
            recipe = _recipe(args, market, variant, seed)
            folder = Path(str(recipe.training.output_dir)).parent
            done = (folder / "run.json").is_file()
            record = _run(recipe, folder)
            runs.append({"market": market, "variant": variant, "seed": seed, **record})
            took = "read" if done else f"{time.monotonic() - began:.0f} s"
            sharpe = ", ".join(f"{name} {number(value)}" for name, value in record["sharpe"].items())
            console.print(f"{market} {place}/{len(plan)} {variant}, seed {seed}: {took}; {sharpe}", highlight=False)
    figures = {"runs": runs, "comparison": report(runs), "machine": machine()}
    Console(width=150).print(*tables(figures), sep="\n")
    write_json(args.json, figures)
    return 0


def _recipe(args: Any, market: str, variant: str, seed: int) -> Recipe:
    """The pooled recipe with this market, this variant of the observation and this seed, in a folder of its own."""
    words = ["--config", str(RECIPE), "--seed", str(seed)]
    words += ["--max_steps", str(args.steps), "--eval_delay", str(args.steps // 2), "--use_cpu", "true"]
    words += ["--bf16", "false", "--report_to", "none", "--disable_tqdm", "true", "--model_name_or_path", args.model]
    recipe = read_recipe([*words, "--trunk_cache_dir", str(args.folder / "trunk")])
    template = args.folder / "template.jinja"
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text(TEMPLATE)
    shown = replace(recipe.policy, prompt_template=str(template), **{**NOTHING_ELSE, **VARIANTS[variant]})
    if market == "msft":
        recipe.trading.fill = "same_close"
        shown = replace(shown, news_query=["Microsoft"])
        chosen = replace(recipe.market, data=str(args.investor_bench), **MSFT)
        return _placed(replace(recipe, market=chosen, policy=shown), args, f"{market}-{variant}-{seed}")
    symbols, unseen = args.symbols or recipe.market.symbols, args.unseen or recipe.market.unseen_symbols
    if symbols == ["all"]:
        symbols = sorted({file.stem for file in args.stocknet.glob("*.json")} - set(unseen))
    pool = {"symbols": symbols, "unseen_symbols": unseen, **({} if args.whole else POOL)}
    chosen = replace(recipe.market, data=str(args.stocknet), **pool)
    return _placed(replace(recipe, market=chosen, policy=shown), args, f"{market}-{variant}-{seed}")


def _placed(recipe: Recipe, args: Any, name: str) -> Recipe:
    """The recipe with its output in a folder that no other setting shares."""
    said = [asdict(part) for part in (recipe.market, recipe.trading, recipe.policy)]
    recipe.training.output_dir = str(args.folder / f"{name}-{digest(said, args.steps, TEMPLATE)}" / "training")
    return recipe


def _run(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Train and test one variant with one seed; or read what an earlier call found."""
    file = folder / "run.json"
    if file.is_file():
        return dict(json.loads(file.read_text()))
    began = time.monotonic()
    trainer = build_trainer(recipe)
    trainer.train(resume_from_checkpoint=checkpoint_to_resume(_resuming(recipe)))
    agent, markets = trainer.agent, recipe.markets(unseen=True)
    train, validation, tests = recipe.periods()
    assert validation is not None
    seen = {symbol: markets[symbol] for symbol in recipe.market.symbols}
    groups: dict[str, tuple[dict[str, MarketData], Period]] = {
        "train": (seen, train),
        "validation": (seen, validation),
        "test": (seen, tests[0]),
    }
    if recipe.market.unseen_symbols:
        groups["test unseen"] = ({symbol: markets[symbol] for symbol in recipe.market.unseen_symbols}, tests[0])
    ledgers = {name: run_backtest(agent, *chosen, recipe.rules()) for name, chosen in _listed(groups).items()}
    for found in ledgers.values():
        assert all(np.array_equal(one.equity["date"], found[0].equity["date"]) for one in found), "days differ"
    returns = {name: np.mean([ledger.returns for ledger in found], axis=0) for name, found in ledgers.items()}
    held = {name: np.mean([ledger.equity["weight"].mean() for ledger in found]) for name, found in ledgers.items()}
    traded = {name: np.mean([_turnover(ledger) for ledger in found]) for name, found in ledgers.items()}
    hold = {name: _hold(chosen, period) for name, (chosen, period) in groups.items()}
    best = str(trainer.state.best_model_checkpoint).rsplit("-", 1)[-1]
    trainer.end()
    record = {
        "returns": {name: values.tolist() for name, values in returns.items()},
        "sharpe": dict(zip(returns, nulls([sharpe_ratio(values) for values in returns.values()]), strict=True)),
        "hold": {name: values.tolist() for name, values in hold.items()},
        "mean_weight": {name: float(value) for name, value in held.items()},
        "turnover": {name: float(value) for name, value in traded.items()},
        "tokens": _tokens(recipe, agent, markets, tests[0]),
        "update": int(best) if best.isdigit() else None,
        "seconds": time.monotonic() - began,
        "conventions": recipe.conventions(agent),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(record))
    partial.replace(file)
    shutil.rmtree(folder / "training", ignore_errors=True)
    return record


def _resuming(recipe: Recipe) -> Recipe:
    """The recipe, told to go on where there is a checkpoint."""
    has = any(Path(str(recipe.training.output_dir)).glob("checkpoint-*"))
    recipe.training.resume_from_checkpoint = "auto" if has else None
    return recipe


def _listed(groups: dict[str, tuple[dict[str, MarketData], Period]]) -> dict[str, tuple[Any, list[Period]]]:
    return {name: (markets, [period]) for name, (markets, period) in groups.items()}


def _hold(markets: dict[str, MarketData], period: Period) -> np.ndarray:
    """Daily returns of the equal-weight portfolio of the assets themselves over a period."""
    returns = []
    for market in markets.values():
        first, stop = market.index_range(period.start, period.end)
        returns.append(market.close[first + 1 : stop] / market.close[first : stop - 1] - 1.0)
    return np.mean(returns, axis=0)


def _turnover(ledger: Ledger) -> float:
    """Money traded a day over the equity before it; from long to short is 2."""
    days = ledger.equity
    return float((days["traded"].to_numpy()[1:] / days["equity"].to_numpy()[:-1]).mean())


def _tokens(recipe: Recipe, agent: Any, markets: dict[str, MarketData], period: Period) -> dict[str, float]:
    """Mean and greatest length of the prompts of the test days; an error where one exceeds `MAX_TOKENS`."""
    from flag_trl.data import period_window

    observer, scheme = agent.observer(markets, recipe.trading.fill), recipe.rules().scheme
    lengths = [
        len(agent.prompts.build(observation).token_ids)
        for symbol, market in markets.items()
        for observation in observer.every_state(*period_window(symbol, market, period), scheme)
    ]
    if max(lengths) > MAX_TOKENS:
        raise SystemExit(f"a prompt has {max(lengths)} tokens; variants may have {MAX_TOKENS}")
    return {"mean": float(np.mean(lengths)), "most": max(lengths)}


def _folder_option(market: str) -> str:
    return "investor_bench" if market == "msft" else "stocknet"


def _parser() -> Any:
    parser = command_line("observation_ablation", __doc__)
    add_model(parser)
    parser.add_argument("--investor-bench", type=Path, metavar="FOLDER", help="folder with msft.json")
    parser.add_argument("--stocknet", type=Path, metavar="FOLDER", help="folder with a file a symbol")
    parser.add_argument("--symbols", nargs="+", help="of the pool; `all` takes every file (default: the recipe's)")
    parser.add_argument("--unseen", nargs="+", help="tested without training on them (default: the recipe's)")
    parser.add_argument("--whole", action="store_true", help="the pool's days as in the recipe, twice as many")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="VARIANT")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each variant (default 2)")
    parser.add_argument("--steps", type=int, default=24, help="updates (default 24)")
    parser.add_argument("--folder", type=Path, default=Path("outputs/observation_ablation"), help="of all runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
