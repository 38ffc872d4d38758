"""How a run computes: engine and cache as the options say, the frozen layers' states once, and the choices told."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from datasets import Dataset
from huggingface_hub import cached_assets_path
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flag_trl.agent import Agent
from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.policy import Engine
from flag_trl.trainer.collector import Collector
from flag_trl.trainer.flag_config import FlagConfig
from flag_trl.trainer.launch import local_processes


def arrange(agent: Agent, args: FlagConfig) -> None:
    """Set the policy's engine and cache as `args` say; training and backtest begin so.

    A cache that was opened with the same settings stays, with what it holds.
    """
    policy, before = agent.policy, agent.policy.cache
    policy.engine = Engine(args.share, args.forward_batch_tokens, args.precision)
    if not args.trunk_cache:
        policy.cache = None
        return
    policy.use_cache(
        int(args.trunk_cache_memory_gb * 1e9),
        _folder(agent, args),
        int(args.trunk_cache_disk_gb * 1e9),
        getattr(torch, args.trunk_cache_dtype),
        local_processes(args.world_size),
    )
    if before is not None and policy.cache is not None and before.settings == policy.cache.settings:
        policy.cache = before


def fill_cache(
    agent: Agent,
    args: FlagConfig,
    collector: Collector,
    windows: Sequence[Window],
    launch: str,
    wait_for_everyone: Callable[[], None],
) -> None:
    """Compute the frozen layers' states for `windows` and say how the run was launched and computes.

    What is in the cache already, from an earlier run, is not computed again. Where it has a folder, the processes of
    one machine compute a part each and read the others' from there.
    """
    cache, shared = agent.policy.cache, _folder(agent, args) is not None
    number, processes = args.local_process_index, local_processes(args.world_size)
    if not shared or number >= processes:
        # Each for itself; so too where the launcher did not tell how many it started here.
        number, processes = 0, 1
    states = list(dict.fromkeys(collector.every_state(windows)))
    begin, end = (len(states) * (number + i) // processes for i in (0, 1))
    console = Console(stderr=True, quiet=bool(args.disable_tqdm) or not args.process_index == 0)
    console.print("\n".join(filter(None, [launch, in_words(agent, args, collector)])), style="dim", highlight=False)
    columns = (TextColumn("frozen layers, once"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    clock = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *clock, console=console, speed_estimate_period=3600) as progress:
        task = progress.add_task("", total=None, visible=False)
        agent.precompute(
            states[begin:end],
            lambda done, total: progress.update(task, completed=done, total=total, visible=True),
        )
    wait_for_everyone()
    if cache is not None and processes > 1:
        cache.reopen()


def in_words(agent: Agent, args: FlagConfig, collector: Collector) -> str:
    """Precision, device, cache, sharing and rollouts of a run, in a line."""
    policy = agent.policy
    if policy.cache is None:
        cache = "no layer is frozen" if not policy.trunk_depth else "frozen layers are not cached"
    else:
        folder = _folder(agent, args)
        where = "memory" if folder is None else f"memory and {folder}"
        cache = f"{policy.trunk_depth} frozen layers cached in {where}"
    rollouts = "simulated from a table of the window" if collector.tabulates else "decided day by day"
    return f"{args.precision} on {policy.device.type}; {cache}; shared: {args.share}; rollouts {rollouts}"


def trained_on(
    rules: TradingRules, markets: Mapping[str, MarketData], dataset: Dataset | None
) -> dict[str, str] | None:
    """What a saved agent must be compared with before it is tested: its rules and its days."""
    if not dataset:
        return None
    first = min(dataset["start_date"])
    last = max(
        markets[symbol].dates[start + length]
        for symbol, start, length in zip(dataset["symbol"], dataset["start"], dataset["length"], strict=True)
    )
    symbols = ", ".join(sorted(set(dataset["symbol"])))
    return {"symbols": symbols, "first_day": first, "last_day": str(last), **rules.identity}


def _folder(agent: Agent, args: FlagConfig) -> Path | None:
    """Where states are kept for later runs; nowhere if running numbers in the account text keep any from recurring."""
    if args.trunk_cache_dir == "none" or agent.observation.endless is not None:
        return None
    if args.trunk_cache_dir is None:
        return cached_assets_path("flag_trl", "trunk", "states")
    return Path(args.trunk_cache_dir)
