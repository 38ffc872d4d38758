"""What a venue tells becomes moments: in order, at the time at which it was known, and nothing lost."""

import json
import queue
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flag_trl.live import Journal
from flag_trl.live.events import SECOND, ClockTick, FeedEvent, FeedNotice, Halt, NewsItem, PriceBar
from flag_trl.live.gate import Gate
from flag_trl.live.news_file import NewsFile
from flag_trl.live.recorded import RecordedFeed
from flag_trl.live.run import StopSwitch
from flag_trl.live.venue import Venue, VenueError, VenueFeed
from flag_trl.observations import ObservationConfig
from tests.live.conftest import yesterday
from tests.live.policies import Moody

MINUTE = 60 * SECOND
OPENED = int(np.datetime64("2024-07-01T10:30:00", "ns").astype(np.int64))
SAID = {
    "client": "LOCAL",
    "config": "nautilus_trader.adapters.x:Config",
    "factory": "nautilus_trader.adapters.x:Factory",
    "bar": "1-MINUTE-LAST-EXTERNAL",
}
ALIVE = SimpleNamespace(is_alive=lambda: True, exitcode=None)
QUIET = None
"""Nothing is told for as long as the bars of one close are waited for."""


def closed(minute: int) -> int:
    return OPENED + minute * MINUTE


def bar(minute: int, symbol: str = "AAA") -> PriceBar:
    opened = closed(minute) - MINUTE + SECOND // 1000
    return PriceBar(symbol, closed(minute), 100.0 + minute, 100.0, 110.0, 99.0, 1000.0, opened=opened)


class Followed:
    """A venue's feed on what it is given, one thing after another."""

    def __init__(self, told: Sequence[Any], symbols: Sequence[str] = ("AAA",), **how: Any) -> None:
        more = {name: how.pop(name) for name in ("news", "silent_after_s") if name in how}
        said = Venue.from_recipe({**SAID, "instruments": {symbol: f"{symbol}.X" for symbol in symbols}, **more})
        self._told, looks = told, count()
        self.feed = VenueFeed(said, lambda: next(looks) > len(told), grace_s=0.01, **how)

    def batches(self) -> Iterator[list[list[FeedEvent]]]:
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for one in self._told:
            waiting.put(one)
        yield from self.feed.follow(waiting, ALIVE)

    def events(self) -> list[FeedEvent]:
        return [event for batch in self.batches() for moment in batch for event in moment]


def believed(events: list[FeedEvent]) -> bool:
    gate = Gate({"AAA": 100.0, "BBB": 100.0}, 0.5)
    return all(gate.refusal(event) is None for event in events if not isinstance(event, FeedNotice))


def those(events: list[FeedEvent], *kinds: type) -> list[FeedEvent]:
    return [event for event in events if isinstance(event, kinds)]


def test_a_halt_holds_before_the_bar_under_way_and_its_end_at_its_own_moment():
    halt, end = Halt("AAA", closed(1) + 30 * SECOND, True), Halt("AAA", closed(1) + 40 * SECOND, False)
    found = Followed([bar(1), QUIET, halt, end, bar(2), QUIET]).events()
    assert believed(found)
    assert those(found, PriceBar, Halt) == [bar(1), Halt("AAA", closed(1) + 2, True), end, bar(2)]
    # One of the time before a close that has been told already is not lost.
    late = Halt("AAA", closed(1) - 5, True)
    found = Followed([bar(1), QUIET, late, bar(2), QUIET]).events()
    assert believed(found) and those(found, Halt) == [Halt("AAA", closed(1) + 2, True)]


def test_a_second_halt_is_not_ended_by_the_end_of_the_first():
    halt, end = Halt("AAA", closed(1) + 30 * SECOND, True), Halt("AAA", closed(1) + 40 * SECOND, False)
    found = Followed([bar(1), QUIET, halt, end, halt, bar(2), QUIET]).events()
    assert [event.halted for event in those(found, Halt)] == [True, True]


def test_a_halt_before_the_first_close_holds_from_it_on_and_one_beside_a_bar_after_that_bar():
    halt = Halt("AAA", closed(1) - 30 * SECOND, True)
    found = Followed([halt, bar(1), QUIET]).events()
    assert believed(found) and those(found, Halt, PriceBar) == [bar(1), Halt("AAA", closed(1) + 2, True)]
    beside = Halt("AAA", closed(2) + SECOND // 2, True)
    found = Followed([bar(1), QUIET, bar(2), beside, QUIET]).events()
    assert believed(found) and those(found, Halt, PriceBar) == [bar(1), bar(2), Halt("AAA", closed(2) + 2, True)]


def test_bars_that_come_late_or_again_do_not_turn_the_clock_back_for_a_halt():
    halt = Halt("AAA", closed(2) + 5 * SECOND, True)
    found = Followed([bar(1), bar(2), bar(1, "BBB"), QUIET, halt, QUIET], ["AAA", "BBB"]).events()
    assert those(found, Halt) == [Halt("AAA", closed(2) + 2, True)]
    told = Followed([bar(1), QUIET, halt, QUIET], kept=[bar(1), bar(2), ClockTick(closed(2) + 1)]).events()
    assert those(told, Halt) == [Halt("AAA", closed(2) + 3, True)]


def test_what_was_halted_before_an_interruption_is_named():
    kept = [Halt("AAA", 1, True), Halt("BBB", 1, True), Halt("BBB", 2, False)]
    (notice,) = Followed([QUIET], ["AAA", "BBB"], kept=kept).events()
    assert notice == FeedNotice("still halted", "AAA, until LOCAL says that it trades again")


def test_bars_of_one_close_are_waited_for_and_another_close_ends_the_wait():
    found = list(Followed([bar(1), bar(1, "BBB"), bar(2), QUIET], ["AAA", "BBB"]).batches())
    assert [those([event for moment in batch for event in moment], PriceBar) for batch in found] == [
        [bar(1), bar(1, "BBB")],
        [bar(2)],
    ]


def news(path: Path, *texts: str) -> str:
    path.write_text("".join(json.dumps({"symbol": "AAA", "text": text}) + "\n" for text in texts))
    return str(path)


@pytest.mark.parametrize("late_s", [-5.0, 0.0, 0.4, 30.0])
def test_a_text_that_was_read_after_a_bar_had_come_is_not_known_at_its_close(tmp_path, game, late_s):
    """Whatever this machine's clock says; and it is in the next decision, however soon after the close it came."""
    config = ObservationConfig(past_returns=1, news_items=1, news_budget=40)
    played = game(Moody(config), yesterday(), 0, live=True)
    path = tmp_path / "news.jsonl"
    path.touch()
    clock = iter([closed(1) - 5 * SECOND, *[closed(1) + int(late_s * SECOND)] * 100])

    def now() -> int:
        # The first look finds nothing, as the bar is just coming; then the text is there.
        moment = next(clock)
        if moment != closed(1) - 5 * SECOND or late_s == -5.0:
            news(path, "Profit warning at AAA.")
        return moment

    feed = Followed([bar(1), QUIET, bar(2), QUIET], news=str(path), now=now)
    played.play(RecordedFeed(played.journal, lambda kept: feed))
    assert played.notices("refused") == []
    shown = ["Profit warning" in text for text in played.column("decisions", "market_text")]
    assert shown == [False, True]


def test_who_is_silent_is_named_once_until_it_is_heard_again(monkeypatch):
    clock = count()
    monkeypatch.setattr("flag_trl.live.venue.time", SimpleNamespace(monotonic=lambda: next(clock)))
    told = [bar(1), *[QUIET] * 10, bar(2), *[QUIET] * 10]
    found = Followed(told, ["AAA", "BBB"], silent_after_s=6, now=lambda: 0).events()
    said = [notice.text for notice in those(found, FeedNotice)]
    aaa, bbb = (f"no bar of {symbol} from LOCAL for 6 s" for symbol in ("AAA", "BBB"))
    assert sorted(said) == [aaa, aaa, bbb]


def test_an_adapter_that_dies_is_said_to_have_ended():
    feed = Followed([QUIET]).feed
    dead = SimpleNamespace(is_alive=lambda: False, exitcode=-9)
    with pytest.raises(VenueError, match=r"LOCAL: the adapter's process has ended \(-9\)"):
        list(feed.follow(queue.SimpleQueue(), dead))


def test_news_are_given_once_as_known_when_they_were_read_and_bad_lines_are_named(tmp_path):
    path = tmp_path / "news.jsonl"
    good = [json.dumps({"symbol": "AAA", "text": f"Item {number}."}) for number in range(3)]
    odd = [{"symbol": "AAA", "text": "x", "kind": 3}, {"symbol": "AAA", "text": "\ud83d"}]
    bad = ["{", "[1]", '{"symbol": "AAA"}', '{"symbol": "BBB", "text": "x"}', *map(json.dumps, odd), "[" * 100_000]
    path.write_text("\n".join([good[0], *bad, good[1][:10]]))
    file = NewsFile(path, ["AAA"])
    first, *refused = file.read(5)
    assert first == NewsItem("AAA", 5, "news", "Item 0.")
    places, whys = zip(*(notice.text.removeprefix(f"{path}, ").split(": ", 1) for notice in refused), strict=True)
    assert places == tuple(f"line {number}" for number in range(2, 9))
    assert whys[1:3] == ("it is no JSON object", "it has no text that is text")
    assert whys[3:5] == ("'BBB' is not traded; AAA are", "it has no kind that is text")
    assert "surrogates not allowed" in whys[5] and "recursion" in whys[6]
    # The last line was not whole yet.
    assert file.read(6) == []
    with path.open("a") as adds:
        long = json.dumps({"symbol": "AAA", "text": "x" * 1_000_000})
        adds.write("\n".join([good[1][10:], good[2], long, ""]))
    second, third, refusal = file.read(7)
    assert [second.text, third.text, second.ts] == ["Item 1.", "Item 2.", 7]
    assert isinstance(refusal, FeedNotice) and "line 11: it has 1,000,0" in refusal.text


def test_a_run_that_goes_on_is_given_no_text_twice_whatever_their_order(tmp_path):
    path = tmp_path / "news.jsonl"
    news(path, "One.", "Two.", "Two.", "Three.")
    given = [NewsItem("AAA", 5, "news", text) for text in ("Two.", "One.", "Of a file that is gone.")]
    assert [item.text for item in NewsFile(path, ["AAA"], given).read(8)] == ["Two.", "Three."]


def test_a_file_that_goes_away_or_is_another_one_is_said_to_be_and_read_again(tmp_path):
    path = tmp_path / "news.jsonl"
    news(path, "One.", "Two.")
    file = NewsFile(path, ["AAA"])
    assert len(file.read(1)) == 2
    path.unlink()
    (gone,) = file.read(2)
    assert isinstance(gone, FeedNotice) and "cannot be read: No such file" in gone.text
    assert file.read(3) == []
    news(tmp_path / "new", "One.", "Two.", "Three.")
    (tmp_path / "new").rename(path)
    another, item = file.read(4)
    assert "is another file now" in another.text and item == NewsItem("AAA", 4, "news", "Three.")
    news(path, "Four.")
    another, item = file.read(5)
    assert "is another file now" in another.text and item == NewsItem("AAA", 5, "news", "Four.")


class Given:
    """Gives the batches that it was given."""

    def __init__(self, *batches: list[list[FeedEvent]]) -> None:
        self._batches = batches

    def batches(self) -> Iterator[list[list[FeedEvent]]]:
        return iter(self._batches)


def test_a_recorded_feed_gives_what_it_was_given(tmp_path):
    silent: list[FeedEvent] = [FeedNotice("silent", "for an hour")]
    moments = [[PriceBar("AAA", 5, float("nan"), open=3.0)], silent, [ClockTick(7)], [PriceBar("AAA", 9, 2.0)]]
    with Journal(tmp_path / "journal.sqlite") as journal:
        list(RecordedFeed(journal, lambda kept: Given(*([moment] for moment in moments[:3]))).moments())
    with Journal(tmp_path / "journal.sqlite") as journal:
        again = [moments[0], *moments[2:], silent]
        found = list(RecordedFeed(journal, lambda kept: Given(*([moment] for moment in again))).moments())
    assert repr(found) == repr([*moments, silent])


def test_what_arrived_together_is_kept_before_the_first_of_it_is_played(tmp_path):
    moments: list[list[FeedEvent]] = [[ClockTick(1)], [ClockTick(2)], [ClockTick(3)]]
    with Journal(tmp_path / "journal.sqlite") as journal:
        feed = RecordedFeed(journal, lambda kept: Given(moments)).moments()
        assert next(feed) == moments[0]
        assert len(list(journal.rows("feed"))) == 3


@pytest.mark.parametrize("within", range(4))
def test_a_stop_within_what_arrived_together_costs_its_bar_no_decision(game, tmp_path, within):
    """The bar was kept and had not closed: a run that goes on begins with it, and decides on it."""

    def play(told: list[Any], stop_after: int | None) -> tuple[str, int]:
        played, switch, seen = game(Moody(), yesterday(), 0, live=True, name=f"run-{within}"), StopSwitch(), count(1)

        def tell(ts: int) -> None:
            if next(seen) == stop_after:
                switch.stop("enough")

        outcome = played.play(
            RecordedFeed(played.journal, lambda kept: Followed(told, kept=kept)), switch=switch, on_moment=tell
        )
        found = outcome.how, len(played.column("decisions", "ts"))
        played.close()
        return found

    assert play([bar(1), QUIET, bar(2), QUIET], 5 + within)[0] == "stopped: enough"
    assert play([bar(3), QUIET], None) == ("ended", 3)
