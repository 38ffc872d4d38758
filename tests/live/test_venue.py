"""Live bars: a real adapter in a real node, in a process of its own, over a real socket."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from flag_trl.data import MarketData
from flag_trl.live.events import SECOND, ClockTick, FeedEvent, FeedNotice, Halt, NewsItem, PriceBar
from flag_trl.live.news_file import NewsFile
from flag_trl.live.recorded import RecordedFeed
from flag_trl.live.run import StopSwitch
from flag_trl.live.venue import Venue, VenueError, VenueFeed
from tests.live.local_venue import Server
from tests.live.policies import Moody

MINUTE = 60 * SECOND
OPENED = int(np.datetime64("2024-07-01T14:30:00", "ns").astype(np.int64))
SAID = {
    "client": "LOCAL",
    "config": "tests.live.local_venue:LocalConfig",
    "factory": "tests.live.local_venue:LocalFactory",
    "instruments": {"AAA": "AAA.LOCAL"},
    "bar": "1-MINUTE-LAST-EXTERNAL",
    "zone": "America/New_York",
}


def lines(first: int, count: int) -> list[str]:
    close = 100 + np.cumsum(np.random.default_rng(0).normal(0, 0.2, first + count)).round(2)
    return [
        json.dumps([OPENED + (n + 1) * MINUTE, close[n], close[n] + 0.5, close[n] - 0.5, close[n], 1000])
        for n in range(first, first + count)
    ]


@pytest.fixture
def server() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for one in servers:
        one.close()


def venue(port: int, **more: object) -> Venue:
    return Venue.from_recipe({**SAID, "settings": {"port": port}, **more}, foreign_adapter=True)


def test_a_venues_bars_are_traded_kept_and_gone_on_with(game, server):
    """Ten minutes, a stop, ten more: the journal holds all, and the second run begins where the first one ended."""
    yesterday = np.array(["2024-06-28T16:00:00"], dtype="datetime64[s]")
    market = {"AAA": MarketData("AAA", yesterday, np.array([100.0]), periods_per_year=252 * 390)}

    def trade(name: str, first: int, decisions: int):
        server.append(Server(lines(first, 10)))
        played, switch = game(Moody(), market, 0, name=name, live=True), StopSwitch()
        threading.Timer(100, switch.stop, ["too long"]).start()

        def tell(ts: int) -> None:
            if len(played.column("decisions", "ts")) >= decisions:
                switch.stop("enough")

        feed = VenueFeed(venue(server[-1].port), lambda: switch.set)
        outcome = played.play(RecordedFeed(played.journal, feed), switch=switch, on_moment=tell)
        played.close()
        return played, outcome

    first, outcome = trade("run", 0, 10)
    assert outcome.how == "stopped: enough" and outcome.decisions == 10
    again, outcome = trade("run", 10, 20)
    assert outcome.how == "stopped: enough" and outcome.decisions == 10
    from tests.live.conftest import opened

    with opened(first.journal.path) as journal:
        bars = list(journal.rows("bars", "history = 0"))
        # 14:31 of the world's clock is 10:31 in New York.
        assert bars[0]["ts"] == OPENED + MINUTE - 4 * 60 * MINUTE
        assert len(bars) == 20 and np.diff([row["ts"] for row in bars]).tolist() == [MINUTE] * 19
        assert sum(1 for _ in journal.rows("fills")) > 4
        assert [row["what"] for row in journal.rows("inputs")] == ["stop", "resume", "stop"]


def test_an_adapter_that_ends_is_said_to_have_ended(server):
    server.append(Server([]))
    other = {**SAID, "factory": "tests.live.local_venue:Server", "settings": {"port": 1}}
    with pytest.raises(VenueError, match="tests.live.local_venue:Server is no LiveDataClientFactory"):
        list(VenueFeed(Venue.from_recipe(other, foreign_adapter=True), lambda: False).moments())


def told(said: Venue, enough: Callable[[list[FeedEvent]], bool], **how: Any) -> list[FeedEvent]:
    """What a venue's feed gives until it is enough, or 100 seconds have passed."""
    found: list[FeedEvent] = []
    end = time.monotonic() + 100
    feed = VenueFeed(said, lambda: enough(found) or time.monotonic() > end, **how)
    for moment in feed.moments():
        found += moment
    assert enough(found), found
    return found


def test_what_happened_within_a_bar_comes_before_its_close_and_what_came_later_with_the_next(server, tmp_path):
    """Halts of the adapter, and news of a file that count as known when they were read: half a minute into a bar."""
    halt, trades = OPENED + 90 * SECOND, OPENED + 150 * SECOND
    bars = lines(0, 3)
    server.append(Server([bars[0], json.dumps([halt, 1]), json.dumps([trades, 0]), *bars[1:]]))
    news = tmp_path / "news.jsonl"
    news.write_text(json.dumps({"symbol": "AAA", "text": "Profit warning."}) + "\n")
    said = venue(server[-1].port, halts=True, news=str(news))
    found = told(said, lambda events: sum(isinstance(event, PriceBar) for event in events) == 3, now=lambda: halt)
    at = said.local(halt)
    assert NewsItem("AAA", at, "news", "Profit warning.") in found and Halt("AAA", at, True) in found
    kinds = [type(event).__name__ for event in found if isinstance(event, (PriceBar, NewsItem, Halt))]
    assert kinds == ["PriceBar", *sorted(kinds[1:3]), "PriceBar", "Halt", "PriceBar"]
    assert [event.ts for event in found] == sorted(event.ts for event in found)


def test_a_venue_that_goes_silent_is_said_to_be_silent_once(server):
    """Before its first bar, while its adapter starts, and after it; the second time not again and again."""
    server.append(Server(lines(0, 1)))
    said = venue(server[-1].port, silent_after_s=0.1)
    looks = []

    def enough(events: list[FeedEvent]) -> bool:
        has_bar = any(isinstance(event, PriceBar) for event in events)
        looks.append(has_bar and isinstance(events[-1], FeedNotice))
        return sum(looks) > 10

    found = told(said, enough, grace_s=0.2)
    notice = FeedNotice("silent", "no bar from LOCAL for 0.1 s")
    assert found[0] == found[-1] == notice and found.count(notice) == 2


def test_news_are_given_once_as_known_when_they_were_read_and_bad_lines_are_named(tmp_path):
    path = tmp_path / "news.jsonl"
    good = [json.dumps({"symbol": "AAA", "text": f"Item {number}."}) for number in range(3)]
    bad = [
        "{",
        "[1]",
        '{"symbol": "AAA"}',
        '{"symbol": "BBB", "text": "x"}',
        '{"symbol": "AAA", "text": "x", "kind": 3}',
    ]
    path.write_text("\n".join([good[0], *bad, good[1][:10]]))
    file = NewsFile(path, ["AAA"])
    first, *refused = file.read(5)
    assert first == NewsItem("AAA", 5, "news", "Item 0.")
    places, whys = zip(*(notice.text.removeprefix(f"{path}, ").split(": ", 1) for notice in refused), strict=True)
    assert places == tuple(f"line {number}" for number in range(2, 7))
    assert whys[1:] == (
        "it is no JSON object",
        "it has no text",
        "'BBB' is not traded; AAA are",
        "its kind is no word",
    )
    # The last line was not whole yet.
    assert file.read(6) == []
    with path.open("a") as adds:
        long = json.dumps({"symbol": "AAA", "text": "x" * 1_000_000})
        adds.write("\n".join([good[1][10:], good[2], long, ""]))
    second, third, refusal = file.read(7)
    assert [second.text, third.text, second.ts] == ["Item 1.", "Item 2.", 7]
    assert isinstance(refusal, FeedNotice) and "line 9: it has 1,000,0" in refusal.text
    # A run that goes on after two items is given the third.
    assert NewsFile(path, ["AAA"], given=2).read(8)[0] == NewsItem("AAA", 8, "news", "Item 2.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"api_key": "abc"}}, "api_key stands in a file"),
        ({"settings": {"a": {"apiSecret": "abc"}}}, "apiSecret stands in a file"),
        ({"settings": {"accounts": [{"api_secret": "abc"}]}}, "api_secret stands in a file"),
        ({"settings": {"http_proxy": "http://me:abc@there"}}, "http_proxy stands in a file"),
        ({"foreign_adapter": True}, "unknown: foreign_adapter"),
        ({"config": "os"}, "give module:class"),
        ({"bar": "daily"}, "1-MINUTE-LAST-EXTERNAL"),
        ({"instruments": {}}, "instruments: none"),
        ({"news": "nowhere.jsonl"}, "no file at nowhere.jsonl; make one"),
        ({"speed": 3}, "unknown: speed"),
    ],
)
def test_a_venue_that_is_not_configured_says_what_is_wrong(change, message):
    with pytest.raises(VenueError, match=message) as caught:
        Venue.from_recipe({**SAID, **change}, foreign_adapter=True)
    assert "abc" not in str(caught.value)


def test_other_code_is_not_run_because_a_recipe_says_so():
    with pytest.raises(VenueError, match="--foreign_adapter true runs other code"):
        Venue.from_recipe({**SAID, "config": "subprocess:Popen"})


def test_a_moment_of_the_world_is_one_of_the_exchange_in_either_half_of_the_year():
    for world, local in (("2024-03-10T06:59", "2024-03-10T01:59"), ("2024-03-10T07:00", "2024-03-10T03:00")):
        ts = int(np.datetime64(world, "ns").astype(np.int64))
        assert venue(1).local(ts) == int(np.datetime64(local, "ns").astype(np.int64))


def test_what_is_missing_is_named():
    with pytest.raises(VenueError, match="missing: bar, factory"):
        Venue.from_recipe({name: value for name, value in SAID.items() if name not in ("bar", "factory")})


def test_adapters_of_nautilustrader_may_be_named():
    module = "nautilus_trader.adapters.binance"
    said = {**SAID, "config": f"{module}:BinanceDataClientConfig"}
    assert Venue.from_recipe({**said, "factory": f"{module}:BinanceLiveDataClientFactory"}).step_s == 60


def test_a_recorded_feed_gives_what_it_was_given(tmp_path):
    from flag_trl.live import Journal
    from tests.live.conftest import Listed

    silent = [FeedNotice("silent", "for an hour")]
    moments = [[PriceBar("AAA", 5, float("nan"), open=3.0)], silent, [ClockTick(7)], [PriceBar("AAA", 9, 2.0)]]
    with Journal(tmp_path / "journal.sqlite") as journal:
        list(RecordedFeed(journal, Listed(moments[:3])).moments())
    with Journal(tmp_path / "journal.sqlite") as journal:
        again = [moments[0], *moments[2:], silent]
        found = list(RecordedFeed(journal, Listed(again)).moments())
    assert repr(found) == repr([*moments, silent])
