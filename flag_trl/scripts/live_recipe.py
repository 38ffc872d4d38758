"""A recipe of a live run: the options that simulation and paper trading share, and what they build."""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from flag_trl.agent import AGENT_FILES, Agent, Policy, agent_folder, file_digest
from flag_trl.backtest import always_cash, buy_and_hold
from flag_trl.data import Period
from flag_trl.live.venue import Venue, VenueError
from flag_trl.scripts.arguments import MarketArguments, PolicyArguments, RulesArguments
from flag_trl.scripts.backtest import check_training
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.trainer import FlagConfig
from flag_trl.trainer.preparation import arrange

if TYPE_CHECKING:
    from flag_trl.live import LiveSettings

RULES = {"buy_and_hold": buy_and_hold, "cash": always_cash}


@dataclass
class LiveArguments:
    """How the policy trades on an exchange, one bar at a time."""

    policy: str = field(
        default="untrained",
        metadata={"help": "Folder or Hub id of a trained agent, `untrained`, buy_and_hold or cash."},
    )
    days: list[str] = field(
        default_factory=list, metadata={"help": "First and last day that are played; the last has no decision."}
    )
    speed: str | None = field(
        default=None,
        metadata={"help": "Seconds of the market in one: 60x, 86400x, 1x for its own time; by default no waiting."},
    )
    resume: bool = field(default=False, metadata={"help": "Go on with the journal in the output folder."})
    capital: float = field(default=100_000.0, metadata={"help": "Money, an equal part for each symbol."})
    decide_every: int = field(default=1, metadata={"help": "Bars from one decision to the next: 5 for a week."})
    sampled: bool = field(default=False, metadata={"help": "Draw actions; otherwise the likeliest is taken."})
    order_kind: Literal["market", "limit"] = field(default="market", metadata={"help": "Kind of orders."})
    limit_bps: float = field(
        default=0.0, metadata={"help": "Basis points beyond the last price that a limit order may pay."}
    )
    time_in_force: Literal["day", "gtc", "ioc", "fok"] = field(
        default="day",
        metadata={"help": "Of orders; what is left is cancelled at the next bar anyway, so day and gtc are alike."},
    )
    latency_ms: float = field(
        default=0.0, metadata={"help": "Until an order arrives; above 0 it meets the first price after that."}
    )
    participation: float = field(
        default=0.0, metadata={"help": "Share of the volume at a price that a market order may take; 0 for no bound."}
    )
    reject_rate: float = field(default=0.0, metadata={"help": "Share of moments at which orders are rejected."})
    price_digits: int = field(default=4, metadata={"help": "Decimals of prices at the exchange."})
    money_digits: int = field(default=2, metadata={"help": "Decimals of its account."})
    max_position: float = field(default=1.0, metadata={"help": "Largest position, of a symbol's part of the equity."})
    max_order: float = field(default=3.0, metadata={"help": "Largest order, likewise; 2 is from short to long."})
    max_turnover: float = field(default=math.inf, metadata={"help": "Traded in a day, of the account's equity."})
    max_loss: float = field(default=1.0, metadata={"help": "Loss of a day from which nothing is added that day."})
    max_drawdown: float = field(default=1.0, metadata={"help": "Drawdown at which the run stops."})
    max_jump: float = field(default=0.5, metadata={"help": "Change of a price between bars that is not believed."})
    max_age_s: float = field(default=5 * 86_400.0, metadata={"help": "Seconds from a bar to an order made of it."})
    answer_within_s: float = field(default=0.0, metadata={"help": "Seconds the policy has to answer; 0 waits."})
    max_failures: int = field(
        default=3, metadata={"help": "Failed answers in a row at which the run stops; late ones do not count."}
    )
    at_stop: Literal["flatten", "hold"] = field(default="hold", metadata={"help": "What a stop does with positions."})
    foreign_adapter: bool = field(
        default=False,
        metadata={"help": "Let `venue` name classes outside NautilusTrader, which runs their code; not in a recipe."},
    )
    venue: dict = field(
        default_factory=dict,
        metadata={"help": "Of `flag-trl paper`, in the recipe file: the venue adapter; see docs/live.md."},
    )


def check_live() -> None:
    """Stop before the work starts where the engine is not installed."""
    if find_spec("nautilus_trader") is None:
        raise SystemExit("live runs need nautilus_trader, on Python 3.11 to 3.13: pip install 'flag-trl[live]'")


def read_live_recipe(argv: Sequence[str] | None) -> Recipe:
    """Parse a live recipe; its days are two."""
    recipe = read_recipe(argv, LiveArguments)
    if recipe.trading.close_at_end:
        raise SystemExit("close_at_end: a live run ends with what it holds; leave it out, or give --at_stop flatten")
    words = sys.argv[1:] if argv is None else argv
    if recipe.extra.foreign_adapter and not any(word.startswith("--foreign_adapter") for word in words):
        raise SystemExit(
            "foreign_adapter: a recipe cannot allow it; give --foreign_adapter true if you trust that code"
        )
    if recipe.extra.venue:
        try:
            Venue.from_recipe(recipe.extra.venue, recipe.extra.foreign_adapter)
        except VenueError as error:
            raise SystemExit(str(error)) from error
    # Shares come one by one at an exchange.
    recipe.trading.lot_size = recipe.trading.lot_size or 1.0
    return recipe


def days_of(recipe: Recipe) -> Period:
    """The days that are played."""
    days = recipe.extra.days
    if len(days) != 2:
        raise SystemExit(f"days: {days}; give the first and the last day, such as --days 2020-10-01 2021-05-05")
    return Period("live", *days)


def settings_of(recipe: Recipe) -> "LiveSettings":
    """How the run trades, what its exchange is like and where it stops."""
    from flag_trl.live import Exchange, Limits, LiveSettings, Orders

    args, rules = recipe.extra, recipe.rules()
    limits = {name: getattr(args, name) for name in Limits.__dataclass_fields__}
    exchange = {name: getattr(args, name) for name in Exchange.__dataclass_fields__ if name != "seed"}
    try:
        return LiveSettings(
            scheme=rules.scheme,
            fill=rules.fill,
            costs=rules.costs,
            capital=args.capital,
            lot_size=rules.lot_size,
            decide_every=args.decide_every,
            sampled=args.sampled,
            seed=recipe.training.seed,
            orders=Orders(args.order_kind, args.limit_bps, args.time_in_force),
            exchange=Exchange(**exchange, seed=recipe.training.seed),
            limits=Limits(**limits),
        )
    except ValueError as error:
        raise SystemExit(str(error)) from error


def policy_of(recipe: Recipe) -> tuple[Policy, dict[str, Any]]:
    """The policy, and what the journal says of it so that `rebuilt_policy` finds it again."""
    name, scheme = recipe.extra.policy, recipe.rules().scheme
    if name in RULES:
        return RULES[name](scheme), {"name": name}
    if name == "untrained":
        agent = recipe.agent()
        said = {"name": name, "policy": asdict(recipe.policy), "seed": recipe.training.seed}
        said["events"], said["context"] = recipe.market.events is not None, bool(recipe.market.context)
    else:
        agent = Agent.from_pretrained(name)
        said = {"name": str(name), "digest": _digest(name)}
        for warning in check_training(agent, recipe, [days_of(recipe)] if recipe.extra.days else []):
            print(warning)
    agent.check_actions(scheme)
    agent.policy.to(recipe.training.device)
    arrange(agent, recipe.training)
    return agent, said


def rebuilt_policy(said: dict[str, Any], trading: dict[str, Any], name: str | None = None) -> Policy:
    """The policy of a journal; `name` is where a trained agent lies now, if it was moved."""
    training = FlagConfig("outputs/replay", use_cpu=not _has_gpu(), bf16=False, seed=said.get("seed", 0))
    rules = RulesArguments(**trading)
    market = MarketArguments(events="" if said.get("events") else None, context=[""] * bool(said.get("context")))
    if said["name"] in RULES:
        return RULES[said["name"]](Recipe(market, rules, PolicyArguments(), training).rules().scheme)
    if said["name"] == "untrained":
        return Recipe(market, rules, PolicyArguments(**said["policy"]), training).agent()
    folder = name or said["name"]
    if _digest(folder) != said["digest"]:
        raise SystemExit(f"{folder} is not the agent that traded: its files have changed; give --policy FOLDER")
    agent = Agent.from_pretrained(folder)
    agent.policy.to(training.device)
    return agent


def _digest(name: str) -> str:
    folder = agent_folder(name)
    return " ".join(file_digest(folder / file) for file in AGENT_FILES if (folder / file).is_file())


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
