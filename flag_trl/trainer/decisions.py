"""A few decisions of a rollout as a table, for those who watch a training: what TRL's trainers do with completions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from flag_trl.agent import Trajectory
from flag_trl.data import MarketData, Window
from flag_trl.trainer.flag_config import FlagConfig

TEXT_LENGTH = 160
TITLE = "decisions"
TRACKERS = ("tensorboard", "trackio")
"""Those of ``report_to`` that are sent a table."""


@dataclass(frozen=True)
class SampleDecision:
    """One decision, and what became of it.

    Attributes
    ----------
    date, symbol : str
        The day on which it was taken, and of which stock.
    market : str
        The beginning of what was known.
    account : str
        What the account held.
    probabilities : str
        Of the legal actions.
    action : str
        The one that was drawn.
    reward : float
        Of the step.
    advantage : float
        By which the action was judged, before any scaling.
    """

    date: str
    symbol: str
    market: str
    account: str
    probabilities: str
    action: str
    reward: float
    advantage: float


def sample(
    trajectory: Trajectory,
    advantages: np.ndarray,
    windows: Sequence[Window],
    markets: Mapping[str, MarketData],
    actions: Sequence[str],
    count: int,
) -> list[SampleDecision]:
    """Decisions spread evenly over a rollout's days and accounts.

    Parameters
    ----------
    trajectory : Trajectory
        Of N accounts.
    advantages : ndarray, shape (S,)
        Of its S decisions, in the order of ``trajectory.active``.
    windows : sequence of Window, length N
    markets : mapping of str to MarketData
    actions : sequence of str
        Their names.
    count : int
        How many are wanted; fewer where fewer were taken.
    """
    cells = np.argwhere(trajectory.active)
    observations = [observation for day in trajectory.observations for observation in day]
    table = []
    for i in np.unique(np.linspace(0, len(cells) - 1, count).astype(int)):
        t, n = cells[i]
        (symbol, start, _), seen = windows[n], observations[i]
        probable = [
            f"{name} {share:.2f}"
            for name, share, legal in zip(actions, trajectory.probabilities[t, n], seen.legal, strict=True)
            if legal
        ]
        table.append(
            SampleDecision(
                str(markets[symbol].dates[start + t]),
                symbol,
                _cut(seen.market_text),
                seen.account_text,
                ", ".join(probable),
                actions[trajectory.actions[t, n]],
                float(trajectory.rewards[t, n]),
                float(advantages[i]),
            )
        )
    return table


class DecisionLog:
    """Puts a table of decisions where a run is watched, every so many updates.

    Parameters
    ----------
    args : FlagConfig
    markets : mapping of str to MarketData
    actions : sequence of str
        Their names.
    """

    def __init__(self, args: FlagConfig, markets: Mapping[str, MarketData], actions: Sequence[str]) -> None:
        self._every, self._count = args.decisions_steps, args.num_decisions
        self._trackers = [name for name in TRACKERS if name in (args.report_to or ())]
        self._markets, self._actions = markets, actions
        self._shown_at: int | None = None

    def show(
        self,
        rollout: tuple[Trajectory, list[Window], Callable[[], np.ndarray]],
        step: int,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        """Send the table of a new rollout, if one is due since the last."""
        due = self._every and (self._shown_at is None or step // self._every > self._shown_at // self._every)
        if not due or not self._trackers:
            return
        self._shown_at = step
        trajectory, windows, advantages = rollout
        table = sample(trajectory, advantages(), windows, self._markets, self._actions, self._count)
        _send(sorted(table, key=lambda row: (row.symbol, row.date)), self._trackers, callbacks, step)


def _send(
    table: Sequence[SampleDecision], trackers: Sequence[str], callbacks: Sequence[TrainerCallback], step: int
) -> None:
    # TensorBoard's writer is its callback's.
    for callback in callbacks if "tensorboard" in trackers else ():
        if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
            callback.tb_writer.add_text(TITLE, _markdown(table), step)
    if "trackio" in trackers:
        import trackio

        data = [[round(cell, 6) if isinstance(cell, float) else cell for cell in astuple(row)] for row in table]
        shown = trackio.Table(columns=_columns(), data=data)
        trackio.log({TITLE: shown}, step=step)


def _columns() -> list[str]:
    return [field.name for field in fields(SampleDecision)]


def _markdown(table: Sequence[SampleDecision]) -> str:
    lines = [_columns(), ["---"] * len(fields(SampleDecision)), *(map(_cell, astuple(row)) for row in table)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    # A text from outside ends no cell and no row.
    return f"{value:+.4f}" if isinstance(value, float) else str(value).replace("|", "\\|").replace("\n", " ")


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1].rstrip() + "\u2026"
