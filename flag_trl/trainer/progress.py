"""Progress of a training run on the terminal."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

SHOWN = (("return", "episode_return", "{:+.3f}"), ("entropy", "entropy", "{:.2f}"), ("KL", "kl", "{:.3f}"))


class TradingProgress(TrainerCallback):
    """A bar with the time that remains, judged by the whole run so far, validation included.

    Where the output is not a terminal, each logged step is a line instead.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the bar."""
        if not state.is_world_process_zero:
            return
        self._began, self._first = time.monotonic(), state.global_step
        if self._console.is_terminal:
            columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            clock = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._progress = Progress(*columns, *clock, console=self._console, speed_estimate_period=86400)
            self._task = self._progress.add_task("", total=state.max_steps, completed=state.global_step)
            self._progress.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say what the last step brought."""
        if not logs or "episode_return" not in logs or not state.is_world_process_zero:
            return
        text = ", ".join(f"{label} {form.format(logs[key])}" for label, key, form in SHOWN if key in logs)
        if self._progress is not None:
            self._progress.update(self._task, description=text)
            return
        elapsed = time.monotonic() - self._began
        done = max(state.global_step - self._first, 1)
        left = elapsed / done * (state.max_steps - state.global_step)
        self._console.print(
            f"step {state.global_step}/{state.max_steps}: {text}; {_clock(left)} left", highlight=False
        )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say what validation measured."""
        if metrics and state.is_world_process_zero and "eval_episode_return" in metrics:
            self._console.print(
                f"validation after step {state.global_step}: return {metrics['eval_episode_return']:+.3f}, "
                f"Sharpe {metrics['eval_sharpe']:.2f}",
                highlight=False,
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
