"""Recompute every decision of a journal from what the journal says was known."""

import json
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from flag_trl.accounts import PositionScheme, position_scheme
from flag_trl.agent import Policy
from flag_trl.data import MarketData
from flag_trl.live.asking import keyed_uniform, observation_hash
from flag_trl.live.events import NewsItem, PriceBar
from flag_trl.live.journal import Journal, JournalError, Row
from flag_trl.live.tape import COLUMNS, Tape, market_of, markets_of

TOLERANCE = 1e-5
"""Probabilities may differ by so much: hidden states do, with what else is in a batch."""


@dataclass
class Replayed:
    """What came out.

    Attributes
    ----------
    decisions : int
        Those looked at.
    unanswered : int
        Of them, those on which the policy had been late or had failed: their observations alone are compared.
    worst : float
        Largest difference of a probability.
    differences : list of str
        Each by moment and symbol; empty where everything is equal.
    """

    decisions: int = 0
    unanswered: int = 0
    worst: float = 0.0
    differences: list[str] = field(default_factory=list)

    @property
    def in_words(self) -> str:
        """The verdict."""
        if self.differences:
            shown = "\n".join(f"  {line}" for line in self.differences[:20])
            more = len(self.differences) - 20
            return f"{len(self.differences)} of {self.decisions} decisions DIFFER:\n{shown}" + (
                f"\n  and {more} more" if more > 0 else ""
            )
        answered = self.decisions - self.unanswered
        return (
            f"{self.decisions} decisions recomputed: observation hashes equal; of the {answered} answered, draws and "
            f"actions equal, probabilities within {self.worst:.1e} (allowed {TOLERANCE:.0e})"
        )


def replay(
    journal: Journal, policy: Policy, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Replayed:
    """Decide again on everything that was decided.

    Parameters
    ----------
    journal : Journal
    policy : Policy
        The one that traded; another is found out by what it answers.
    on_progress : callable
        Called with the decisions done and those to do.

    Raises
    ------
    JournalError
        If the journal names no symbols or markets.
    """
    past, result = Past(journal), Replayed()
    observer: Any = policy.observer(past.known(0), journal.setting("fill"))
    memories = observer.memories(past.symbols)
    remembered = dict(zip(past.symbols, memories or [], strict=False))
    accounts = _Accounts(journal)
    rows = list(journal.rows("decisions"))
    for now, together in groupby(rows, key=lambda row: int(row["ts"])):
        decided = list(together)
        observer.follow(past.known(now))
        for row in accounts.until(now) if memories else ():
            _remember(observer, remembered[row["symbol"]], past, row)
        own = [remembered[row["symbol"]] for row in decided] if memories else None
        observations = observer.observe(past.raw(decided), own)
        _compare(journal, policy, decided, observations, result)
        result.decisions += len(decided)
        on_progress(result.decisions, len(rows))
    return result


def _compare(journal: Journal, policy: Policy, rows: list[Row], observations: list[Any], result: Replayed) -> None:
    for row, observation in zip(rows, observations, strict=True):
        if observation_hash(observation) != row["observation"]:
            result.differences.append(f"{_place(row)}: the observation is another one")
    if rows[0]["status"] != "ok":
        result.unanswered += len(rows)
        return
    drawn = None
    if rows[0]["uniform"] is not None:
        seed = journal.setting("seed")
        drawn = np.array([keyed_uniform(seed, row["symbol"], row["ts"]) for row in rows])
        for row, uniform in zip(rows, drawn, strict=True):
            if row["uniform"] != uniform:
                result.differences.append(f"{_place(row)}: drawn by {row['uniform']}, its key gives {uniform}")
    decision = policy.decide(observations, drawn)
    for row, found, action in zip(rows, decision.probabilities, decision.actions.tolist(), strict=True):
        distance = float(np.abs(found - np.array(json.loads(row["probabilities"]))).max())
        result.worst = max(result.worst, distance)
        if action != row["action"]:
            result.differences.append(f"{_place(row)}: action {row['action']} then, {action} now")
        elif distance > TOLERANCE:
            result.differences.append(f"{_place(row)}: probabilities differ by {distance:.1e}")


class Past:
    """What a journal says was known, by moment.

    Parameters
    ----------
    journal : Journal

    Attributes
    ----------
    symbols : list of str
        Those traded, sorted.
    scheme : PositionScheme
    """

    def __init__(self, journal: Journal) -> None:
        self.symbols: list[str] = journal.setting("symbols")
        self.scheme: PositionScheme = position_scheme(*_scheme(journal.setting("scheme")))
        self._context: dict[str, list[str]] = journal.setting("context")
        self._tapes: dict[str, Tape] = {}
        self._bars: dict[str, list[int]] = {}
        self._coming: dict[str, tuple[deque[Row], deque[Row]]] = {}
        for symbol, head in journal.setting("markets").items():
            bars, news = (list(journal.rows(table, "symbol = ?", symbol)) for table in ("bars", "news"))
            past = [row for row in bars if row["history"]]
            if not past:
                raise JournalError(f"{journal.path} has no bars of {symbol}; it is no journal of a run")
            known = sorted((row for row in news if row["number"] < 0), key=lambda row: row["number"])
            self._tapes[symbol] = Tape(market_of(symbol, head, past, known))
            self._bars[symbol] = [row["ts"] for row in bars]
            # Texts in the order in which they were told.
            told = sorted((row for row in news if row["number"] >= 0), key=lambda row: row["number"])
            self._coming[symbol] = deque(bars[len(past) :]), deque(told)

    def known(self, now: int) -> dict[str, MarketData]:
        """What was known at a moment, which is not before the last one asked for."""
        for symbol, (bars, news) in self._coming.items():
            while bars and bars[0]["ts"] <= now:
                row = bars.popleft()
                self._tapes[symbol].add_bar(
                    PriceBar(**{name: row[name] for name in ("symbol", "ts", "close", *COLUMNS)})
                )
            while news and news[0]["ts"] < now:
                row = news.popleft()
                self._tapes[symbol].add_news(NewsItem(symbol, row["ts"], row["kind"], row["text"]))
        return markets_of(self._tapes, self.symbols, self._context)

    def raw(self, rows: list[Row]) -> dict[str, np.ndarray]:
        """The accounts that decided, as the observer takes them."""
        accounts = [json.loads(row["account"]) for row in rows]
        raw = {name: np.array([account[name] for account in accounts]) for name in accounts[0]}
        raw["symbol"] = np.array([self.symbols.index(row["symbol"]) for row in rows])
        raw["bar"] = np.array([row["bar"] for row in rows])
        raw["legal"] = self.scheme.legal_actions(raw["position"]).astype(np.int8)
        return raw

    def bar(self, symbol: str, ts: int) -> int:
        """Index of the bar that closed at a moment."""
        return bisect_left(self._bars[symbol], ts)


class _Accounts:
    """Rows of the accounts in order of time, each given once."""

    def __init__(self, journal: Journal) -> None:
        self._rows: Iterator[Row] = journal.rows("accounts")
        self._next = next(self._rows, None)

    def until(self, now: int) -> Iterator[Row]:
        while self._next is not None and self._next["ts"] <= now:
            yield self._next
            self._next = next(self._rows, None)


def _remember(observer: Any, memory: Any, past: Past, row: Row) -> None:
    raw = {
        "symbol": np.array([past.symbols.index(row["symbol"])]),
        "bar": np.array([past.bar(row["symbol"], row["ts"])]),
        "position": np.array([int(np.sign(row["units"]))]),
        "return_since_entry": np.array([row["since_entry"]]),
    }
    observer.remember(memory, raw, np.array([row["equity"]]), 0)


def _scheme(said: Mapping[str, Any]) -> tuple[str, tuple[float, ...] | None]:
    return said["name"], None if said["grid"] is None else tuple(said["grid"])


def _place(row: Row) -> str:
    return f"{np.datetime64(row['ts'], 'ns').astype('datetime64[m]')} {row['symbol']}"
