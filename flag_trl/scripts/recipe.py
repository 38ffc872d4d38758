"""A recipe: what its options build, shared by training, backtest, live runs and prompt display."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from transformers import set_seed
from trl import TrlParser

from flag_trl.accounts import Costs, position_scheme
from flag_trl.agent import Agent
from flag_trl.data import (
    MarketData,
    Period,
    altered,
    check_disjoint,
    load_market,
    name_stand_in,
    read_events,
)
from flag_trl.data.altered import WEEKS
from flag_trl.data.market import WHOLE_DAY
from flag_trl.envs import TradingRules
from flag_trl.hub import TRAINING_FILE
from flag_trl.observations import ObservationConfig
from flag_trl.policy import LLMPolicy, SoftInput, Tuning
from flag_trl.prompts import read_template
from flag_trl.scripts.arguments import MarketArguments, PolicyArguments, RulesArguments
from flag_trl.trainer import FlagConfig

LEARNING = (
    *("max_steps", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate"),
    *("lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "optim", "adam_beta1", "adam_beta2"),
    *("num_generations", "loss_type", "baseline", "gamma", "lam", "scale_advantages", "entropy_coef", "kl_coef"),
    *("cliprange", "cliprange_value", "vf_coef", "num_ppo_epochs", "num_mini_batches", "target_kl"),
    *("metric_for_best_model", "greater_is_better", "load_best_model_at_end", "eval_steps", "eval_delay"),
)
"""Options of the trainer that change what is learned."""
USAGE = "%(prog)s --config RECIPE [--option VALUE ...]"
DESCRIPTION = """A recipe is a YAML file of the options below, without the dashes; those on the command line come on
top. Example: %(prog)s --config recipes/quickstart.yaml --symbols JNJ --seed 1. The first options say what is traded,
the next how, then which model decides and what it reads; from --output_dir on they are those of the trainer."""


@dataclass
class Recipe:
    """A parsed recipe; `extra` holds a script's own options."""

    market: MarketArguments
    trading: RulesArguments
    policy: PolicyArguments
    training: FlagConfig
    extra: Any = None

    @property
    def output(self) -> Path:
        """The folder that the run writes to."""
        return Path(str(self.training.output_dir))

    @property
    def configuration(self) -> dict[str, Any]:
        """What is learned from and how, without seed and test days: what counts as one configuration tried."""
        training = asdict(self.training)
        learning = {name: training[name] for name in LEARNING}
        left_out = ("data", "notes", "test_periods", "unseen_symbols", "counterfactual")
        market = {key: value for key, value in asdict(self.market).items() if key not in left_out}
        market["data"] = Path(self.market.data).name
        return {"market": market, "trading": asdict(self.trading), "policy": asdict(self.policy), "training": learning}

    def markets(self, unseen: bool = False) -> dict[str, MarketData]:
        """Read every symbol's data, with `unseen` also those of the symbols that training does not see."""
        args = self.market
        for name in ("symbols", "unseen_symbols"):
            given = getattr(args, name)
            if not isinstance(given, list) or not all(isinstance(symbol, str) for symbol in given):
                raise SystemExit(
                    f"{name}: {given} is not a list of words; write [MSFT, JNJ], and quote what YAML reads as a "
                    "number or as yes and no, such as ['ON', '0700']"
                )
        both = sorted(set(args.symbols) & set(args.unseen_symbols))
        if both:
            raise SystemExit(f"unseen_symbols: training sees {', '.join(both)}; take it out of one of the lists")
        beside = tuple(_as_context(self._market(args.context_data or args.data, symbol)) for symbol in args.context)
        found = {}
        for symbol in [*args.symbols, *(args.unseen_symbols if unseen else [])]:
            events = () if args.events is None else read_events(args.events, symbol)
            market = replace(self._market(args.data, symbol), context=beside, events=events)
            names = self.policy.news_query
            found[symbol] = altered(market, args.counterfactual, names) if args.counterfactual else market
        return found

    def _market(self, data: str, symbol: str) -> MarketData:
        args = self.market
        known = {"text_known": args.text_known, "filings_known": args.filings_known}
        return load_market(data, symbol, **known, periods_per_year=args.periods_per_year)

    def periods(self) -> tuple[Period, Period | None, list[Period]]:
        """Training, validation (if given) and test periods, checked to follow one another."""
        args = self.market
        train = _period("train", args.train_period)
        validation = _period("validation", args.validation_period) if args.validation_period else None
        tests = [_period(name, days) for name, days in args.test_periods.items()]
        check_disjoint([period for period in (train, validation, *tests) if period is not None])
        if args.counterfactual == "dates":
            return _moved(train), validation and _moved(validation), [_moved(period) for period in tests]
        return train, validation, tests

    def first_day(self, period: Period) -> np.datetime64:
        """A period's first day as the data have it, before `counterfactual: dates` moved it."""
        moved = self.market.counterfactual == "dates"
        return period.start - np.timedelta64(7 * WEEKS * moved, "D")

    def test_periods(self, names: Sequence[str] | None = None) -> list[Period]:
        """The test periods, or those named."""
        tests = self.periods()[2]
        known = [period.name for period in tests]
        unknown = [name for name in names or () if name not in known]
        if unknown:
            raise SystemExit(f"no test period {', '.join(unknown)}; the recipe has {', '.join(known) or 'none'}")
        return [period for period in tests if names is None or period.name in names]

    def rules(self) -> TradingRules:
        """The trading rules."""
        args = self.trading
        return TradingRules(
            scheme=position_scheme(args.scheme, None if args.grid is None else tuple(args.grid)),
            fill=args.fill,
            costs=Costs(args.commission_bps, args.slippage_bps, args.borrow_rate),
            reward=args.reward,
            sharpe_rate=args.sharpe_rate,
            drawdown_penalty=args.drawdown_penalty,
            close_at_end=args.close_at_end,
            lot_size=args.lot_size,
        )

    def agent(self) -> Agent:
        """The untrained agent."""
        args = self.policy
        actions = self.rules().scheme.actions
        unknown = sorted(set(args.words) - set(actions))
        if unknown:
            raise SystemExit(f"words: {', '.join(unknown)} is no action; the scheme has {', '.join(actions)}")
        set_seed(self.training.seed)
        tuning = Tuning(
            args.tuning,
            args.num_trainable_layers,
            args.train_final_norm,
            args.lora_rank,
            args.lora_alpha,
            args.trunk_bits,
        )
        observation = self.observation()
        policy = LLMPolicy.from_pretrained(
            args.model_name_or_path,
            {name: args.words.get(name, name) for name in actions},
            tuning,
            value_head=self.training.baseline == "value",
            soft=None if observation.soft_input is None else SoftInput(*observation.soft_input),
        )
        policy.to(self.training.device)
        template = read_template(args.prompt_template)
        try:
            return Agent(policy, observation, template)
        except ValueError as error:
            raise SystemExit(str(error)) from error

    def as_altered(self, shown: ObservationConfig) -> ObservationConfig:
        """An observation that looks for the names that `counterfactual: entities` puts into texts."""
        if self.market.counterfactual != "entities":
            return shown
        return replace(shown, news_query=tuple(map(name_stand_in, shown.news_query)))

    def observation(self) -> ObservationConfig:
        """What the agent is shown."""
        args = self.policy
        return ObservationConfig(
            past_returns=args.past_returns,
            indicators=args.indicators,
            numbers=args.numbers,
            soft_tokens=args.soft_tokens,
            soft_bars=args.soft_bars,
            chart_bars=args.chart_bars,
            weekday=args.weekday,
            next_event=self.market.events is not None,
            context=bool(self.market.context),
            anonymise=args.anonymise,
            news_items=args.news_items,
            news_budget=args.news_budget,
            news_selector=args.news_selector,
            news_query=args.news_query,
            filing_budget=args.filing_budget,
            memory_items=args.memory_items,
            memory_budget=args.memory_budget,
            reflections=args.reflections,
            reflection_budget=args.reflection_budget,
            account_text=args.account_text,
        )

    def conventions(self, agent: Agent) -> list[str]:
        """What a reader must know to judge a figure: how it was traded and measured, and the recipe's own notes."""
        rules = self.rules()
        costs = rules.costs
        close = "closed" if rules.close_at_end else "left open"
        close += f", lots of {rules.lot_size:g}" if rules.lot_size else ""
        return [
            f"{rules.scheme.name}, fills at {rules.fill.replace('_', ' ')}, commission {costs.commission_bps:g} bp, "
            f"slippage {costs.slippage_bps:g} bp, borrowing {costs.borrow_rate:.1%} a year, last position {close}",
            f"greedy actions; account text: {agent.observation.account_text}{_reflecting(agent)}; news known "
            f"{self.market.text_known.replace('_', ' ')}, filings {self.market.filings_known.replace('_', ' ')}; "
            f"risk-free rate 0; {self.market.periods_per_year} days a year; seed {self.training.seed}",
            *([f"counterfactual: {self.market.counterfactual} altered"] if self.market.counterfactual else []),
            *self.market.notes,
        ]

    def write_training(self, agent: Agent) -> None:
        """Write how the agent in the output folder was trained, for whoever is given it."""
        said = {"conventions": self.conventions(agent), **self.configuration}
        (self.output / TRAINING_FILE).write_text(json.dumps(said, indent=1, default=str) + "\n")


def read_recipe(argv: Sequence[str] | None = None, extra: Any = None) -> Recipe:
    """Parse ``--config FILE`` and the options that override it.

    The output folder is ``outputs/<recipe name>`` unless one is named.

    Parameters
    ----------
    argv : sequence of str, optional
        By default the command line.
    extra : dataclass, optional
        A script's own options.
    """
    arguments = [part for word in (sys.argv[1:] if argv is None else argv) for part in split_config(word)]
    given = {argument.split("=")[0].replace("-", "_") for argument in arguments}
    if arguments and arguments[-1] == "--config":
        raise SystemExit("--config: name a recipe, such as --config recipes/quickstart.yaml")
    if "--config" in arguments:
        path = Path(arguments[arguments.index("--config") + 1])
        if not path.is_file():
            raise SystemExit(f"no recipe at {path}; recipes/ holds those that come with flag-trl")
        if "__output_dir" not in given and "output_dir" not in (yaml.safe_load(path.read_text()) or {}):
            arguments += ["--output_dir", f"outputs/{path.stem}"]
    kinds: list[Any] = [MarketArguments, RulesArguments, PolicyArguments, FlagConfig]
    parser: Any = TrlParser(kinds if extra is None else [*kinds, extra], usage=USAGE, description=DESCRIPTION)
    return Recipe(*parser.parse_args_and_config(arguments))


def split_config(word: str) -> list[str]:
    """TrlParser knows ``--config FILE`` alone, not ``--config=FILE``."""
    return word.split("=", 1) if word.startswith("--config=") else [word]


def _period(name: str, days: Sequence[Any]) -> Period:
    if len(days) != 2:
        raise SystemExit(f"{name} period: give its first and last day, such as [2015-01-02, 2019-12-31]")
    return Period(name, *days)


def _as_context(market: MarketData) -> MarketData:
    """A market that is looked at beside another, without texts; where it trades on weekends its days are whole."""
    if not np.is_busday(market.dates).all():
        market = replace(market, session_close=WHOLE_DAY, periods_per_year=365)
    return replace(market, texts=())


def _moved(period: Period) -> Period:
    """A period where `counterfactual: dates` puts its days."""
    days = np.timedelta64(7 * WEEKS, "D")
    return Period(period.name, period.start + days, period.end + days)


def _reflecting(agent: Agent) -> str:
    """What a report says of an account's memory of its own trades."""
    count = agent.observation.reflections
    return f", with up to {count} of its own trades (states are not shared)" if count else ""
