"""Live bars: a real adapter in a real node, in a process of its own, over a real socket."""

import json
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from flag_trl.live.events import SECOND, FeedEvent, Halt, NewsItem, PriceBar
from flag_trl.live.recorded import RecordedFeed
from flag_trl.live.run import StopSwitch
from flag_trl.live.venue import Venue, VenueError, VenueFeed
from tests.live.conftest import opened, yesterday
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
    market = yesterday()

    def trade(name: str, first: int, decisions: int):
        server.append(Server(lines(first, 10)))
        played, switch = game(Moody(), market, 0, name=name, live=True), StopSwitch()
        timer = threading.Timer(100, switch.stop, ["too long"])
        timer.daemon = True
        timer.start()

        def tell(ts: int) -> None:
            if len(played.column("decisions", "ts")) >= decisions:
                switch.stop("enough")

        said = venue(server[-1].port)
        feed = RecordedFeed(played.journal, lambda kept: VenueFeed(said, lambda: switch.set, kept))
        outcome = played.play(feed, switch=switch, on_moment=tell)
        played.close()
        return played, outcome

    first, outcome = trade("run", 0, 10)
    assert outcome.how == "stopped: enough" and outcome.decisions == 10
    again, outcome = trade("run", 10, 20)
    assert outcome.how == "stopped: enough" and outcome.decisions == 10
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
        list(VenueFeed(Venue.from_recipe(other, foreign_adapter=True), lambda: False).batches())


def test_halts_of_the_adapter_and_news_of_a_file_come_with_the_bar_that_they_fall_into(server, tmp_path):
    halt, trades, auction = OPENED + 90 * SECOND, OPENED + 150 * SECOND, OPENED + 100 * SECOND
    bars = lines(0, 3)
    told = [json.dumps([halt, "PAUSE"]), json.dumps([auction, "QUOTING"]), json.dumps([trades, "TRADING"])]
    server.append(Server([bars[0], *told, *bars[1:]]))
    news = tmp_path / "news.jsonl"
    news.write_text(json.dumps({"symbol": "AAA", "text": "Profit warning."}) + "\n")
    said = venue(server[-1].port, halts=True, news=str(news))
    found: list[FeedEvent] = []
    end = time.monotonic() + 100

    def stopped() -> bool:
        return sum(isinstance(event, PriceBar) for event in found) == 3 or time.monotonic() > end

    for batch in VenueFeed(said, stopped, now=lambda: halt).batches():
        found += [event for moment in batch for event in moment]
    assert NewsItem("AAA", said.local(halt), "news", "Profit warning.") in found
    kinds = [type(event) for event in found if isinstance(event, (PriceBar, NewsItem))]
    assert kinds == [PriceBar, NewsItem, PriceBar, PriceBar]
    states = [getattr(event, "halted", "bar") for event in found if isinstance(event, (PriceBar, Halt))]
    assert states == ["bar", True, "bar", False, "bar"]
    assert [event.ts for event in found] == sorted(event.ts for event in found)


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
