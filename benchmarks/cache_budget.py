"""What does a small memory cost? Epochs of training with the frozen layers' states on disk, and all of them in memory.

python -m benchmarks.cache_budget --data FOLDER

All parts of the market text are on, with soft tokens beside. The working set is what one epoch reads; `third` keeps a
third of it in memory and reads the rest from memory-mapped files.

  hit rate  share of the states asked for after the first epoch that were there, from memory or disk
  memory    share that were in memory
  epoch     seconds, mean of those after the first; the files are then in the system's own cache
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from benchmarks.command import add_model, command_line, write_json
from benchmarks.machine import machine
from flag_trl import Agent, FlagConfig, FlagTrainer, LLMPolicy, TradingRules, episode_dataset, position_scheme
from flag_trl.data import MarketData, Period, load_market
from flag_trl.observations import ObservationConfig
from flag_trl.policy import SoftInput
from flag_trl.policy.tree import TreeBatch
from flag_trl.policy.trunk_cache import TrunkCache

EVERYTHING = ObservationConfig(
    past_returns=5,
    indicators=("rsi14", "macd26", "bollinger20", "momentum20", "volatility20"),
    numbers="both",
    weekday=True,
    news_items=2,
    news_budget=60,
    news_selector="combined",
    filing_budget=60,
    memory_items=2,
    memory_budget=60,
)
DAYS = 16


@dataclass
class Counted:
    """States asked for, found, and found in memory, and seconds, of each epoch."""

    asked: list[int] = field(default_factory=lambda: [0])
    found: list[int] = field(default_factory=lambda: [0])
    near: list[int] = field(default_factory=lambda: [0])
    seconds: list[float] = field(default_factory=list)


class CountingCache(TrunkCache):
    """A cache that counts what it is asked for."""

    counted: Counted

    def gather(self, batch: TreeBatch, hidden_size: int, dtype: torch.dtype) -> torch.Tensor | None:
        """As the cache's own."""
        keys = [segment.key for row in batch.segments for segment in row]
        self.counted.asked[-1] += len(keys)
        self.counted.found[-1] += sum(key in self for key in keys)
        self.counted.near[-1] += sum(key in self._memory for key in keys)
        return super().gather(batch, hidden_size, dtype)

    @property
    def bytes_in_memory(self) -> int:
        """What is kept in memory now."""
        return sum(states.numel() * states.element_size() for states in self._memory.values())


class Epochs(TrainerCallback):
    """Notes when an epoch ends."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._began = time.perf_counter()

    def on_epoch_begin(self, *given: Any, **more: Any) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._counted.seconds.append(time.perf_counter() - self._began)
        self._counted.asked.append(0)
        self._counted.found.append(0)
        self._counted.near.append(0)


def trained(market: MarketData, model: str, windows: int, epochs: int, folder: Path, memory: int) -> dict[str, Any]:
    """Train on the first windows and say what the cache did."""
    set_seed(0)
    size = EVERYTHING.soft_input
    assert size is not None
    agent = Agent(LLMPolicy.from_pretrained(model, soft=SoftInput(*size)), EVERYTHING)
    config = FlagConfig(
        str(folder / "run"),
        num_train_epochs=epochs,
        per_device_train_batch_size=3,
        baseline="exact",
        learning_rate=1e-5,
        save_strategy="no",
        report_to="none",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        trunk_cache_dir=str(folder / "trunk"),
        trunk_cache_memory_gb=memory / 1e9,
    )
    first = min(60, len(market) - windows * DAYS - 2)
    period = Period("train", market.dates[first], market.dates[first + windows * DAYS + 1])
    rows = episode_dataset({market.symbol: market}, period, length=DAYS)
    counted = Counted()
    rules = TradingRules(position_scheme("signed"), fill="same_close")
    trainer = FlagTrainer(agent, config, {market.symbol: market}, rules, rows, callbacks=[Epochs(counted)])
    cache = agent.policy.cache
    assert cache is not None
    counting = CountingCache(*cache.settings)
    counting.counted = counted
    agent.policy.cache = counting
    trainer.train()
    kept = counting.bytes_in_memory
    trainer.end()
    asked, found = sum(counted.asked[1:]), sum(counted.found[1:])
    later = counted.seconds[1:]
    return {
        "memory_mb": memory / 1e6,
        "kept_mb": kept / 1e6,
        "hit_rate": found / asked,
        "memory_rate": sum(counted.near[1:]) / asked,
        "asked": asked,
        "epoch_seconds": sum(later) / len(later),
        "epochs": counted.seconds,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = command_line("cache_budget", __doc__)
    add_model(parser)
    parser.add_argument("--data", required=True, help="as for a recipe")
    parser.add_argument("--symbol", default="MSFT")
    parser.add_argument("--windows", type=int, default=6, help=f"of {DAYS} days each (default 6)")
    parser.add_argument("--epochs", type=int, default=5, help="the first fills the cache (default 5)")
    args = parser.parse_args(argv)
    market = load_market(args.data, args.symbol)
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        given = (market, args.model, args.windows, args.epochs)
        rows["all in memory"] = trained(*given, Path(folder) / "whole", 10**11)
        working_set = int(rows["all in memory"]["kept_mb"] * 1e6)
        rows["third"] = trained(*given, Path(folder) / "third", working_set // 3)
    table = Table("memory", "MB kept", "hit rate", "memory", "epoch, s", box=None, header_style="bold")
    for name, row in rows.items():
        cells = (
            f"{row['kept_mb']:.1f}",
            f"{row['hit_rate']:.4f}",
            f"{row['memory_rate']:.2f}",
            f"{row['epoch_seconds']:.2f}",
        )
        table.add_row(name, *cells)
    Console().print(table)
    write_json(args.json, {"rows": rows, "machine": machine()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
