"""From what has become known to decisions: the observation of training, one answer, and a row that keeps it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flag_trl.agent import Decision, Policy
from flag_trl.live.asking import Asking, keyed_uniform, observation_hash
from flag_trl.live.books import Books
from flag_trl.live.events import day_of
from flag_trl.live.journal import Journal, JournalError, Row
from flag_trl.live.settings import LiveSettings
from flag_trl.live.tape import Tape, markets_of

NO_ANSWER = {"probabilities": None, "action": None}


class Deciding:
    """Decides on symbols; what the journal holds already is not asked again.

    Parameters
    ----------
    policy : Policy
    settings : LiveSettings
    books : Books
        The accounts that observations tell of.
    tapes : mapping of str to Tape
        What is known, of the markets beside the traded ones too.
    context : mapping of str to sequence of str
        By traded symbol, the markets beside it.
    journal : Journal

    Attributes
    ----------
    decisions : int
        Asked of the policy.
    asked_s : float
        Seconds that it took.
    failures : int
        Answers that were none, in a row up to the last.
    """

    def __init__(
        self,
        policy: Policy,
        settings: LiveSettings,
        books: Books,
        tapes: Mapping[str, Tape],
        context: Mapping[str, Sequence[str]],
        journal: Journal,
    ) -> None:
        self.decisions, self.asked_s, self.failures = 0, 0.0, 0
        self._asking = Asking(policy, settings.limits.answer_within_s)
        self._settings, self._books, self._tapes = settings, books, tapes
        self._context, self._journal = context, journal
        self._observer: Any = policy.observer(markets_of(tapes, books.symbols, context), settings.fill)
        memories = self._observer.memories(books.symbols)
        self._memories = {} if memories is None else dict(zip(books.symbols, memories, strict=True))
        self._weights = settings.scheme.target_weight(np.arange(len(settings.scheme.actions)))

    def remember(self, symbol: str) -> None:
        """Bring what the account remembers of its own trades up to the bar that has closed."""
        if self._memories:
            account = self._books.raw({symbol: len(self._tapes[symbol]) - 1})
            self._look().remember(self._memories[symbol], account, np.array([self._books.equity(symbol)]), 0)

    def decide(self, symbols: Sequence[str], now: int) -> list[Row]:
        """Rows of the journal's `decisions`, one a symbol, kept before anything is made of them.

        Parameters
        ----------
        symbols : sequence of str
            Sorted; each has a bar that closed since its last decision.
        now : int
            The moment, which names the decision.

        Raises
        ------
        JournalError
            If the journal says that something else was observed at this moment.
        """
        raw = self._books.raw({symbol: len(self._tapes[symbol]) - 1 for symbol in symbols})
        own = [self._memories[symbol] for symbol in symbols] if self._memories else None
        observations = self._look().observe(raw, own)
        kept = [self._kept(symbol, now, seen) for symbol, seen in zip(symbols, observations, strict=True)]
        told = [row for row in kept if row is not None]
        if len(told) < len(symbols):
            told = self._ask(symbols, now, raw, observations)
            self._journal.commit()
        else:
            for row in told:
                self._journal.put("decisions", row)
        # One answer for all; a late one says nothing of the next.
        if told[0]["status"] != "late":
            self.failures = self.failures + 1 if told[0]["status"] == "failed" else 0
        return told

    def weight(self, row: Row) -> float | None:
        """The target weight that a decision asks for; None where nothing is to be traded."""
        weight = np.nan if row["status"] != "ok" else self._weights[row["action"]]
        return None if np.isnan(weight) else float(weight)

    def _kept(self, symbol: str, now: int, observation: Any) -> Row | None:
        row = self._journal.get("decisions", ts=now, symbol=symbol)
        if row is not None and row["observation"] != observation_hash(observation):
            raise JournalError(
                f"{self._journal.path}: the observation of {symbol} at {day_of(now)} is not the one decided on; "
                "the data, the policy or the program have changed since"
            )
        return row

    def _ask(
        self, symbols: Sequence[str], now: int, raw: Mapping[str, np.ndarray], observations: Sequence[Any]
    ) -> list[Row]:
        sampled, seed = self._settings.sampled, self._settings.seed
        drawn = [keyed_uniform(seed, symbol, now) if sampled else None for symbol in symbols]
        answer = self._asking.ask(observations, np.array(drawn) if sampled else None)
        self.asked_s += answer.took_s
        self.decisions += len(symbols)
        rows = []
        for place, (symbol, observation) in enumerate(zip(symbols, observations, strict=True)):
            row = {
                "ts": now,
                "symbol": symbol,
                "bar": int(raw["bar"][place]),
                **_observed(raw, place, observation),
                "uniform": drawn[place],
                "status": answer.status,
                "why": answer.why,
                "took_s": answer.took_s / len(symbols),
                **(NO_ANSWER if answer.decision is None else _answered(answer.decision, place)),
            }
            rows.append(row)
            self._journal.put("decisions", row)
        return rows

    def _look(self) -> Any:
        """The observer, on what has become known so far."""
        self._observer.follow(markets_of(self._tapes, self._books.symbols, self._context))
        return self._observer


def _observed(raw: Mapping[str, np.ndarray], place: int, observation: Any) -> Row:
    account = {key: values[place].item() for key, values in raw.items() if key not in ("symbol", "bar", "legal")}
    return {
        "observation": observation_hash(observation),
        "market_text": observation.market_text,
        "account_text": observation.account_text,
        "account": json.dumps(account),
        "legal": json.dumps(list(observation.legal)),
    }


def _answered(decision: Decision, place: int) -> Row:
    chances = json.dumps(decision.probabilities[place].tolist())
    return {"probabilities": chances, "action": int(decision.actions[place])}
