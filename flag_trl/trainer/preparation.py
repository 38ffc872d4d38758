"""What happens before the first step: the frozen layers' states are computed once, and the choices are told."""

from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import cached_assets_path
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flag_trl.agent import Agent
from flag_trl.data import Window
from flag_trl.trainer.collector import Collector
from flag_trl.trainer.flag_config import FlagConfig


def cache_trunk(agent: Agent, args: FlagConfig, collector: Collector, windows: Sequence[Window]) -> None:
    """Open the cache as `args` say, fill it for `windows`, and say how the run computes.

    What is in it already, from an earlier run, is not computed again.
    """
    policy = agent.policy
    if args.trunk_cache and policy.cache is None:
        policy.use_cache(
            int(args.trunk_cache_memory_gb * 1e9),
            _folder(args),
            int(args.trunk_cache_disk_gb * 1e9),
            getattr(torch, args.trunk_cache_dtype),
        )
    console = Console(stderr=True, quiet=bool(args.disable_tqdm) or not args.process_index == 0)
    console.print(in_words(agent, args, collector), style="dim", highlight=False)
    columns = (TextColumn("frozen layers, once"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    clock = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *clock, console=console, speed_estimate_period=3600) as progress:
        task = progress.add_task("", total=None, visible=False)
        agent.precompute(
            collector.every_state(windows),
            lambda done, total: progress.update(task, completed=done, total=total, visible=True),
        )


def in_words(agent: Agent, args: FlagConfig, collector: Collector) -> str:
    """Precision, device, cache, sharing and rollouts of a run, in a line."""
    policy = agent.policy
    if policy.cache is None:
        cache = "no layer is frozen" if not policy.trunk_depth else "frozen layers are not cached"
    else:
        where = "memory" if _folder(args) is None else f"memory and {_folder(args)}"
        cache = f"{policy.trunk_depth} frozen layers cached in {where}"
    rollouts = "simulated from a table of the window" if collector.tabulates else "decided day by day"
    return f"{args.precision} on {policy.device.type}; {cache}; shared: {args.share}; rollouts {rollouts}"


def _folder(args: FlagConfig) -> Path | None:
    if args.trunk_cache_dir == "none":
        return None
    if args.trunk_cache_dir is None:
        return cached_assets_path("flag_trl", "trunk", "states")
    return Path(args.trunk_cache_dir)
