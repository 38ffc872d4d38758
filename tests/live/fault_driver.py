"""Trade, get killed, go on: one process a run, forked from one that has only imported.

python tests/live/fault_driver.py FOLDER [--recorded] POINT [POINT ...]

A point is a name of `POINTS`, or a number: the share of an undisturbed run's time after which the process is killed.
Prints one line a point: its name, how the first process ended, whether the journal is that of a run that nobody
disturbed, and how often the policy was asked more than once for a decision that had been kept. What is `--recorded`
comes from a feed that gives nothing again of what was kept.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from flag_trl.accounts import Costs, Signed
from flag_trl.data import DatedText, MarketData
from flag_trl.live import Exchange, Journal, LiveSettings, Orders
from flag_trl.live.asking import Asking
from flag_trl.live.events import ClockTick, FeedEvent
from flag_trl.live.feed import ReplayFeed
from flag_trl.live.recorded import RecordedFeed
from flag_trl.live.run import LiveRun, described
from flag_trl.live.strategy import PolicyStrategy
from tests.live.policies import EVERYTHING, Moody

BARS = 60


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(owner: Any, name: str, call: int, after: bool = False) -> None:
    """Kill the process before, or after, the `call`-th call of a function."""
    real, calls = getattr(owner, name), [0]

    def replaced(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and not after:
            die()
        found = real(*args, **kwargs)
        if calls[0] == call:
            die()
        return found

    setattr(owner, name, replaced)


POINTS: dict[str, Callable[[], None]] = {
    "mid-decision": lambda: at(Asking, "ask", 9),
    "decided, not kept": lambda: at(Asking, "ask", 9, after=True),
    "decision kept, no order yet": lambda: at(PolicyStrategy, "_order", 14),
    "order kept, not sent": lambda: at(PolicyStrategy, "submit_order", 8),
    "order sent, not filled": lambda: at(PolicyStrategy, "submit_order", 8, after=True),
    "filled, not kept": lambda: at(PolicyStrategy, "on_order_filled", 7),
    "fill put, not committed": lambda: at(PolicyStrategy, "on_order_filled", 7, after=True),
    "before a commit": lambda: at(Journal, "commit", 60),
    "after a commit": lambda: at(Journal, "commit", 60, after=True),
    "history half written": lambda: at(Journal, "put_history", 1),
}
RECORDED_POINTS: dict[str, Callable[[], None]] = {
    "arrived, not kept": lambda: at(RecordedFeed, "_keep", 30),
    "kept, not played": lambda: at(RecordedFeed, "_keep", 30, after=True),
    "half played": lambda: at(PolicyStrategy, "on_bar", 60),
    "played, not committed": lambda: at(LiveRun, "_total", 30, after=True),
}


class Patient(Moody):
    """Takes a while, so that a random moment may fall into a decision."""

    def decide(self, observations: Any, uniforms: Any = None) -> Any:
        time.sleep(0.004)
        return super().decide(observations, uniforms)


def markets() -> dict[str, MarketData]:
    """Two walks with news, on exchanges with fees, latency and rejections."""
    found = {}
    for symbol in ("AAA", "BBB"):
        random = np.random.default_rng([7, *symbol.encode()])
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, 30 + BARS)))
        open_ = close * np.exp(random.normal(0, 0.005, len(close)))
        dates = np.busday_offset("2020-01-01", np.arange(len(close)), roll="forward")
        texts = [
            DatedText("news", f"{symbol} news {n}", day.astype("datetime64[s]") + 3600 * 15)
            for n, day in enumerate(dates)
        ]
        columns = {"open": open_, "high": np.maximum(open_, close) * 1.01, "low": np.minimum(open_, close) * 0.99}
        found[symbol] = MarketData(
            symbol, dates, close, volume=np.full(len(close), 5000.0), texts=tuple(texts), **columns
        )
    return found


SETTINGS = LiveSettings(
    scheme=Signed(),
    fill="next_open",
    costs=Costs(5.0, 2.0),
    sampled=True,
    orders=Orders("limit", limit_bps=-10.0),
    exchange=Exchange(latency_ms=50.0, participation=0.05, reject_rate=0.1, price_digits=4, money_digits=2),
)


class OnceOnly:
    """Gives the bars of a close together, and again only where nothing of them was kept."""

    def __init__(self, feed: ReplayFeed, kept: list[FeedEvent]) -> None:
        self._feed, self._last = feed, max((event.ts for event in kept), default=-1)

    def batches(self) -> Iterator[list[list[FeedEvent]]]:
        batch: list[list[FeedEvent]] = []
        for moment in self._feed.moments():
            batch.append(moment)
            if isinstance(moment[-1], ClockTick):
                if batch[0][0].ts > self._last:
                    yield batch
                batch = []


def trade(folder: Path, recorded: bool) -> None:
    """One run, or what is left of it."""
    traded = markets()
    some = traded["AAA"]
    feed = ReplayFeed.of_period(traded, some.dates[30], some.dates[-1], SETTINGS.fill)
    history = feed.history()
    with Journal(folder / "journal.sqlite") as journal:
        journal.begin(described(SETTINGS, history, feed.context()))
        run = LiveRun(Patient(EVERYTHING), SETTINGS, history, journal, feed.context(), feed.last_bar())
        once = RecordedFeed(journal, lambda kept: OnceOnly(feed, kept))
        outcome = run.play(once if recorded else feed)
        (folder / "asked").write_text(str(outcome.decisions))


def started(folder: Path, recorded: bool, prepare: Callable[[], None] = lambda: None) -> int:
    """Trade in a process of its own; its process id."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with (folder / "log.txt").open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            prepare()
            trade(folder, recorded)
            status = 0
    except BaseException:
        import traceback

        with (folder / "log.txt").open("a") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Minus the signal that ended it, or its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def content(folder: Path) -> tuple[str, int]:
    """All that the journal says, and how many decisions that is."""
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        return journal.digest(), sum(1 for _ in journal.rows("decisions"))


def main() -> int:
    folder, points = Path(sys.argv[1]), sys.argv[2:]
    recorded = points[0] == "--recorded"
    points = points[recorded:]
    named = {**POINTS, **RECORDED_POINTS}
    began = time.monotonic()
    assert ended(started(folder / "undisturbed", recorded)) == 0, (folder / "undisturbed" / "log.txt").read_text()
    took = time.monotonic() - began
    wanted, decisions = content(folder / "undisturbed")
    for number, point in enumerate(points):
        own = folder / f"run-{number}"
        if point in named:
            first = ended(started(own, recorded, named[point]))
        else:
            child = started(own, recorded)
            time.sleep(float(point) * took)
            os.kill(child, signal.SIGKILL)
            first = ended(child)
        kept = content(own)[1] if (own / "journal.sqlite").exists() and first else 0
        again = ended(started(own, recorded)) if first else 0
        found = content(own)[0] if not again else (own / "log.txt").read_text()
        twice = int((own / "asked").read_text()) + kept - decisions if not again and first else 0
        print(
            f"{point}: ended {first}, again {again}, {'same' if found == wanted else 'DIFFERENT'}, twice {twice}",
            flush=True,
        )
        if found != wanted:
            print(found[-2000:], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
