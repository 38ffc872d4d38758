"""What an account remembers of its own closed trades of the episode, and which of them bear on today.

Written from the episode's own past alone and empty at its start: what an earlier epoch learnt about a later day must
not reach it. Accounts that traded differently remember differently, so states are not shared between them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flag_trl.accounts import POSITION_NAMES
from flag_trl.observations.news import similarity
from flag_trl.observations.text import cut_to

DECAY_BARS = 20.0
"""Bars in which a trade's recency falls to 1/e."""
USUAL_GAIN = 0.05
"""Return of a trade from which its importance is at its highest; losses of that size are least important."""


@dataclass(frozen=True)
class Reflection:
    """A closed trade, and what was known when it was decided.

    Attributes
    ----------
    opened, closed : int
        Bars of the decisions that opened and closed it.
    position : int
        1 long, -1 short.
    trade_return : float
        What the account gained from its opening to its end, costs included, as a fraction; the costs of a reversal
        count to the trade that it opens.
    cue : str
        The first news of the day of the opening decision; empty where there was none.
    """

    opened: int
    closed: int
    position: int
    trade_return: float
    cue: str

    @property
    def importance(self) -> float:
        """Between 0 and 1; what preceded a profit moves up, what preceded a loss down."""
        return float(np.clip(0.5 + 0.5 * self.trade_return / USUAL_GAIN, 0.0, 1.0))


@dataclass
class EpisodeMemory:
    """One account's memory of one episode.

    Attributes
    ----------
    symbol : str
    closed : list of Reflection
        In order of time.
    """

    symbol: str
    closed: list[Reflection] = field(default_factory=list)
    _open: tuple[int, int, float, str] | None = None

    def update(self, bar: int, position: int, equity: float, since_entry: float, cue: Callable[[int], str]) -> None:
        """Take in the account as it stands at the close of a bar.

        Parameters
        ----------
        bar : int
        position : int
            Sign of what it holds.
        equity : float
        since_entry : float
            Return since the position was opened, costs of the opening included; 0 while flat.
        cue : callable
            First news of a bar.
        """
        if self._open is not None and position == self._open[1]:
            return
        entry = equity / (1.0 + since_entry)
        if self._open is not None:
            opened, held, before, seen = self._open
            self.closed.append(Reflection(opened, bar - 1, held, entry / before - 1.0, seen))
            self._open = None
        if position:
            self._open = (bar - 1, position, entry, cue(bar - 1))

    def ranked(self, bar: int, today: str) -> list[tuple[float, Reflection]]:
        """Closed trades with their scores, best first: relevance to the day's first news, importance, recency."""
        if not self.closed:
            return []
        cues = [reflection.cue for reflection in self.closed]
        alike = similarity(cues, today) if today and any(cues) else np.zeros(len(cues))
        relevance = alike / alike.max() if alike.max() > 0 else alike
        recency = np.exp([(reflection.closed - bar) / DECAY_BARS for reflection in self.closed])
        scores = relevance + [reflection.importance for reflection in self.closed] + recency
        return [(float(scores[i]), self.closed[i]) for i in np.argsort(-scores, kind="stable")]

    def text(self, bar: int, today: str, count: int, budget: int, length: Callable[[str], int]) -> str:
        """The best of them in words, as many as fit; empty where nothing was closed yet."""
        best = self.ranked(bar, today)[:count]
        lines: list[str] = []
        for place, (_, trade) in enumerate(best):
            line = (
                f"Closed {bar - trade.closed} days ago, {POSITION_NAMES[trade.position]} for "
                f"{trade.closed - trade.opened}: {100 * trade.trade_return:+.1f}%."
            )
            if length(" ".join([*lines, line])) > budget:
                break
            # Each gets its share of what those before it left.
            room = (budget - length(" ".join(lines))) // (len(best) - place) - length(f" {line} After: ")
            after = cut_to(trade.cue, room, length) if trade.cue and room > 0 else ""
            lines.append(f"{line} After: {after}" if after else line)
        return " ".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        open_trade = None if self._open is None else list(self._open)
        return {"symbol": self.symbol, "closed": [asdict(r) for r in self.closed], "open": open_trade}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "EpisodeMemory":
        """What `to_dict` gave."""
        opened = None if saved["open"] is None else tuple(saved["open"])
        return cls(saved["symbol"], [Reflection(**row) for row in saved["closed"]], opened)


def save_memories(file: str | Path, memories: Sequence[EpisodeMemory]) -> None:
    """Write memories as JSON."""
    Path(file).write_text(json.dumps([memory.to_dict() for memory in memories], indent=1) + "\n")


def load_memories(file: str | Path) -> list[EpisodeMemory]:
    """Read what `save_memories` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else.
    """
    try:
        return [EpisodeMemory.from_dict(saved) for saved in json.loads(Path(file).read_text())]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{file} holds no memories of trades ({error}); a backtest with reflections writes one"
        ) from None
