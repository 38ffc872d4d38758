"""What is shown of a run is what its journal says, to everybody who may look, for as long as they look."""

import json
import math
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from flag_trl.live import Journal, JournalError
from flag_trl.live.watching import Source, snapshot, watch_terminal
from flag_trl.live.watching.reading import MOST_MARKS, MOST_POINTS
from flag_trl.scripts import watch
from tests.live.watched import CAPITAL, DAY, FIRST, HOSTILE, Writer, three_days


@pytest.fixture
def written(tmp_path) -> Iterator[Writer]:
    """Three days; see `three_days`."""
    writer = three_days(tmp_path)
    yield writer
    writer.journal.close()


def read(path: Path) -> dict[str, Any]:
    with Journal(path, read_only=True) as journal:
        return snapshot(journal)


# The snapshot.


def test_a_snapshot_says_what_the_account_is_worth(written):
    shown = read(written.journal.path)
    assert shown["name"] == "night-run"
    assert shown["equity"] == pytest.approx(CAPITAL + 400 * 10.0 - 1.0)
    assert shown["total_return"] == pytest.approx(shown["equity"] / CAPITAL - 1.0)
    aaa, bbb = shown["symbols"]
    assert (aaa["position"], aaa["units"], aaa["price"]) == ("long", 400.0, 110.0)
    assert aaa["equity"] == pytest.approx(CAPITAL / 2 + 400 * 10.0 - 1.0)
    assert aaa["weight"] == pytest.approx(400 * 110.0 / aaa["equity"])
    assert (bbb["position"], bbb["weight"], bbb["equity"]) == ("flat", 0.0, CAPITAL / 2)
    assert shown["trades"] == {"fills": 1, "commission": 1.0}
    assert shown["time"] == written.now // 10**6


def test_a_fill_counts_from_the_moment_it_is_there_and_once(written):
    reading = Source(written.journal.path)
    reading.look()
    written.order("AAA-2", 50, 30.0, 110.0)
    reading.look()
    # In the same moment, after it was looked at.
    written.order("AAA-3", 50, 20.0, 110.0)
    reading.look()
    assert reading.latest == read(written.journal.path)
    assert reading.latest["symbols"][0]["units"] == 450.0
    assert reading.latest["equity"] == pytest.approx(written.worth(110.0))
    reading.close()


def test_a_source_takes_a_new_snapshot_only_of_what_has_changed(written):
    source = Source(written.journal.path)
    assert [source.look(), source.look()] == [1, 1]
    written.bar(111.0)
    assert [source.look(), source.look()] == [2, 2]
    written.end("ended")
    source.look()
    assert source.latest["state"]["name"] == "ended"
    source.close()


def test_another_run_in_the_same_place_is_followed(written):
    path = written.journal.path
    source = Source(path)
    source.look()
    written.end("ended")
    shutil.rmtree(path.parent)
    assert source.latest["equity"] and source.look()
    other = Writer(path)
    other.bar(50.0)
    source.look()
    assert source.latest["equity"] == CAPITAL and source.latest["state"]["name"] == "running"
    other.end("ended")
    source.close()


def test_the_state_of_a_run_is_told_with_its_reason(written, monkeypatch):
    path = written.journal.path
    state = lambda: {key: read(path)["state"][key] for key in ("name", "why")}  # noqa: E731
    assert state() == {"name": "running", "why": ""}
    written.notice("stop", "max_drawdown: 20 % below")
    assert state() == {"name": "stopped", "why": "max_drawdown: 20 % below"}
    written.notice("resume", "the run goes on")
    assert state() == {"name": "running", "why": ""}
    written.journal.close()
    assert state()["name"] == "interrupted"
    for how, told in (("ended", ("ended", "")), ("stopped: signal SIGTERM", ("stopped", "signal SIGTERM"))):
        written.journal = Journal(path)
        written.end(how)
        assert tuple(state().values()) == told


def test_a_run_whose_process_was_killed_is_told_from_one_that_is_quiet(written):
    source = Source(written.journal.path)
    source.look()
    # As the end of a process does: nothing is written.
    written.journal.close()
    assert source.look() == 2 and source.latest["state"]["name"] == "interrupted"
    source.close()


def test_orders_say_what_became_of_them(written):
    written.order("AAA-2", 100, 0.0, 0.0, "rejected", "no market")
    written.order("AAA-3", 100, 100.0, 111.0, "accepted")
    written.order("AAA-4", 100, 40.0, 111.0, "accepted")
    written.order("AAA-10", 100, 0.0, 0.0)
    orders = {order["id"]: order for order in read(written.journal.path)["orders"]}
    assert list(orders) == ["AAA-10", "AAA-4", "AAA-3", "AAA-2", "AAA-1"]
    assert {name: order["status"] for name, order in orders.items()} == {
        "AAA-10": "sent",
        "AAA-4": "open",
        "AAA-3": "filled",
        "AAA-2": "rejected",
        "AAA-1": "canceled",
    }
    assert (orders["AAA-1"]["filled"], orders["AAA-1"]["average"], orders["AAA-1"]["why"]) == (400, 100, "a new bar")
    assert orders["AAA-2"]["why"] == "no market" and orders["AAA-3"]["commission"] == 1.0


def test_decisions_without_probabilities_say_why(written):
    failed = {"probabilities": None, "action": None, "status": "failed", "why": "RuntimeError: out of memory"}
    written.decide("BBB", **failed)
    written.bar(112.0, probabilities="[0.1, 0.2, 0.7]", action=2, legal="[true, true, true]", uniform=0.9)
    shown = read(written.journal.path)["decisions"]
    assert (shown["BBB"]["action"], shown["BBB"]["probabilities"]) == (None, [])
    assert shown["BBB"]["why"] == "RuntimeError: out of memory" and shown["BBB"]["lines"] == ["Nothing happened."]
    assert shown["AAA"]["drawn"] and shown["AAA"]["action"] == "buy"
    assert shown["AAA"]["numbers"] == "AAA. Returns, 0.1%: +4."


def test_limits_show_their_headroom_and_the_missing_bound(written):
    limits = {limit["name"]: limit for limit in read(written.journal.path)["limits"]}
    assert limits["max_drawdown"]["words"] == "5 % of 20 %, 15 % left"
    assert limits["max_drawdown"]["share"] == pytest.approx(0.25)
    assert limits["max_turnover"]["allowed"] == "inf" and limits["max_turnover"]["share"] is None
    assert limits["max_turnover"]["words"] == "10 % of no bound"
    assert limits["max_position"]["used"] == pytest.approx(44_000 / 53_999)
    assert limits["at_stop"]["words"] == "hold"


def test_numbers_that_are_none_leave_valid_json(written):
    written.day += 1
    written.total(math.nan, drawdown=math.nan)
    written.day += 1
    written.total(math.inf, drawdown=math.inf)
    accounts = {"price": math.nan, "units": 1.0, "cash": -math.inf, "equity": math.nan, "since_entry": math.nan}
    written.journal.put("accounts", {"ts": written.now, "symbol": "AAA", **accounts})
    written.decide(probabilities="[NaN, Infinity, 0.0]", took_s=math.inf)
    written.journal.commit()
    shown = read(written.journal.path)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["decisions"]["AAA"]["probabilities"][0]["probability"] is None
    assert len(shown["curve"]["time"]) == 3


def test_a_long_run_makes_no_larger_a_snapshot(tmp_path):
    writer = Writer(tmp_path / "journal.sqlite")
    equity = CAPITAL * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 4 * MOST_POINTS)))
    rows = [{"ts": FIRST + n * DAY, "cash": 0.0, "equity": float(e), "headroom": "{}"} for n, e in enumerate(equity)]
    for row in rows:
        writer.journal.put("totals", row)
    fills = {"symbol": "AAA", "side": "buy", "quantity": 1.0, "price": 1.0, "commission": 0.0}
    for n in range(2 * MOST_MARKS):
        writer.journal.put("fills", {"id": f"AAA-{n}", "number": 0, "ts": FIRST + n, **fills})
    for number in range(100):
        writer.notice("limit", "x" * 10_000 + str(number))
    writer.decide(news="y" * 100_000)
    writer.journal.commit()
    shown = read(tmp_path / "journal.sqlite")
    curve = shown["curve"]
    assert MOST_POINTS // 2 < len(curve["time"]) <= MOST_POINTS + 1
    assert curve["time"][0] == FIRST // 10**6 and curve["time"][-1] == rows[-1]["ts"] // 10**6
    peak = np.maximum.accumulate(equity)
    assert shown["deepest"] == pytest.approx(float((1 - equity / peak).max()), abs=1e-3)
    assert len(shown["marks"]) == MOST_MARKS and shown["trades"]["fills"] == 2 * MOST_MARKS
    assert len(shown["notices"]) == 50
    assert len(json.dumps(shown)) < 400_000
    writer.journal.close()


def test_a_journal_without_a_run_is_refused(tmp_path):
    Journal(tmp_path / "journal.sqlite").close()
    with pytest.raises(JournalError, match="is no journal of a run"):
        read(tmp_path / "journal.sqlite")
    with pytest.raises(SystemExit, match="flag-trl watch: .*is no journal of a run"):
        watch.main([str(tmp_path), "--once"])


# The terminal.


def test_the_terminal_shows_the_same_in_short(written, capsys):
    written.order("AAA-2", 10, 0.0, 0.0, "rejected", "[bold]no market[/bold]")
    written.notice("limit", HOSTILE, "AAA")
    console = Console(width=120, record=True, force_terminal=False)
    watch_terminal(written.journal.path, console)
    told = console.export_text()
    for figure in (
        "night-run  running",
        "2020-01-05 16:00",
        "equity 103,999.00",
        "return +4.00 %",
        "81.48 %",
        "110.00",
    ):
        assert figure in told, figure
    assert "hold (greedy) of sell 25.00 %, hold 75.00 %" in told
    assert "rejected: [bold]no market[/bold]" in told and "max_drawdown 5 % of 20 %, 15 % left" in told
    assert "\x1b" not in told and "<img src=x" in told
    assert watch.main([str(written.journal.path), "--once"]) == 0
    assert "equity 103,999.00" in capsys.readouterr().out


def test_in_a_terminal_it_moves_until_the_run_has_ended(written):
    console = Console(width=120, force_terminal=True, record=True, file=Path("/dev/null").open("w"))
    watching = threading.Thread(target=watch_terminal, args=(written.journal.path, console))
    watching.start()
    # Not the console itself, which the other thread may be writing to.
    with Journal(written.journal.path, read_only=True) as other:
        before = other.state()
        written.bar(120.0)
        assert other.state() != before
    written.end("ended")
    watching.join(60)
    assert not watching.is_alive()
    told = console.export_text()
    assert "night-run  ended" in told and "equity 107,999.00" in told
    console.file.close()
