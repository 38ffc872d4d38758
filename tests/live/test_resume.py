"""A run that was killed goes on as if nothing had been, and its journal proves it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flag_trl.accounts import Signed
from flag_trl.live import Exchange, Journal, JournalError, Limits, journal_path
from flag_trl.live.run import StopSwitch
from tests.conftest import REPOSITORY
from tests.live.conftest import Listed
from tests.live.fault_driver import POINTS, RECORDED_POINTS
from tests.live.policies import EVERYTHING, Broken, Moody

DRIVER = Path(__file__).with_name("fault_driver.py")


def driven(folder: Path, points: list[str]) -> list[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(DRIVER), str(folder), *points]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if ": ended " in line]


def test_killed_at_any_named_point_it_ends_with_the_journal_of_an_undisturbed_run(tmp_path):
    lines = driven(tmp_path, list(POINTS))
    assert lines == [f"{point}: ended -9, again 0, same, twice 0" for point in POINTS]


def test_so_does_one_whose_feed_gives_nothing_again_of_what_was_kept(tmp_path):
    points = [*RECORDED_POINTS, "order kept, not sent", "filled, not kept"]
    lines = driven(tmp_path, ["--recorded", *points])
    assert lines == [f"{point}: ended -9, again 0, same, twice 0" for point in points]


def test_killed_at_twenty_random_moments_too(tmp_path):
    random = np.random.default_rng()
    # Until twenty fell into the run: its time is not the same each time.
    killed: list[str] = []
    for _ in range(4):
        lines = driven(tmp_path / str(len(killed)), [f"{share:.3f}" for share in random.uniform(0.02, 0.9, 22)])
        assert all(line.endswith("again 0, same, twice 0") for line in lines), lines
        killed += [line for line in lines if "ended -9" in line]
        if len(killed) >= 20:
            break
    assert len(killed) >= 20


def test_an_undisturbed_run_played_again_asks_nothing_and_changes_nothing(game, noisy):
    market = {"AAA": noisy()}
    first = game(Moody(EVERYTHING), market, sampled=True)
    first.play()
    digest = first.journal.digest()
    first.close()
    policy = Moody(EVERYTHING)
    again = game(policy, market, sampled=True)
    outcome = again.play()
    assert outcome.decisions == 0 and policy.seen == {}
    assert again.journal.digest() == digest


def test_a_changed_price_stops_the_run_that_goes_on(game, noisy):
    market = noisy()
    first = game(Moody(), {"AAA": market})
    first.play()
    first.close()
    close = market.close.copy()
    close[40] *= 1.001
    again = game(Moody(), {"AAA": replace(market, close=close)})
    with pytest.raises(JournalError, match="have changed since"):
        again.play()


def test_a_changed_news_item_stops_it_too(game, noisy):
    market = noisy()
    first = game(Moody(EVERYTHING), {"AAA": market})
    first.play()
    first.close()
    later = [place for place, text in enumerate(market.texts) if text.known_at > np.datetime64(market.dates[40])]
    texts = list(market.texts)
    texts[later[0]] = replace(texts[later[0]], text="AAA fell.")
    again = game(Moody(EVERYTHING), {"AAA": replace(market, texts=tuple(texts))})
    with pytest.raises(JournalError, match="have changed since"):
        again.play()


@pytest.mark.parametrize("at_stop", ["flatten", "hold"])
def test_a_run_that_was_stopped_goes_on_trading_and_a_third_one_agrees(game, noisy, at_stop):
    market, limits = {"AAA": noisy()}, Limits(at_stop=at_stop)
    exchange = Exchange(latency_ms=20.0, price_digits=8, money_digits=8)
    first = game(Moody(), market, scheme=Signed(), limits=limits, exchange=exchange)
    switch = StopSwitch()

    def tell(ts: int) -> None:
        if len(first.column("decisions", "ts")) == 12:
            switch.stop("lunch")

    assert first.play(switch=switch, on_moment=tell).how == "stopped: lunch"
    held = first.run.strategy.books.units("AAA")
    assert (held == 0.0) == (at_stop == "flatten")
    first.close()
    again = game(Moody(), market, scheme=Signed(), limits=limits, exchange=exchange)
    assert again.play().how == "ended"
    assert again.column("inputs", "what").tolist() == ["stop", "resume"]
    assert len(again.column("decisions", "ts")) == 29
    digest = again.journal.digest()
    again.close()
    third = game(Moody(), market, scheme=Signed(), limits=limits, exchange=exchange)
    assert third.play().decisions == 0 and third.journal.digest() == digest


def test_stopped_again_before_anything_new_it_still_goes_on(game, noisy):
    market = {"AAA": noisy()}

    def play(stop: str | None = None, moments: int = 10**6):
        played = game(Moody(), market, limits=Limits(at_stop="flatten"))
        switch, seen = StopSwitch(), [0]

        def tell(ts: int) -> None:
            seen[0] += 1
            if stop and seen[0] == moments:
                switch.stop(stop)

        outcome = played.play(Listed(list(played.feed.moments())[:moments]), switch=switch, on_moment=tell)
        found = outcome.how, played.column("inputs", "what").tolist(), len(played.column("decisions", "ts"))
        played.close()
        return found

    assert play("lunch", 60)[:2] == ("stopped: lunch", ["stop"])
    assert play("dinner", 60)[:2] == ("stopped: lunch; then dinner", ["stop"])
    how, inputs, decisions = play()
    assert how == "ended" and inputs == ["stop", "resume"] and decisions == 29


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
def test_a_stop_while_it_plays_again_what_was_leaves_no_trace(game, noisy, fill):
    """It may come after the last bar was played again and before its orders were: the run is not there yet."""
    market = {"AAA": noisy(n=36)}
    settings = {"scheme": Signed(), "limits": Limits(at_stop="flatten"), "fill": fill}
    undisturbed = game(Moody(), market, name="undisturbed", **settings)
    undisturbed.play()
    count, digest = len(list(undisturbed.feed.moments())), undisturbed.journal.digest()
    for killed in range(2, count, 3):
        for stopped in range(max(1, killed - 3), killed):
            name = f"{killed}-{stopped}"
            first = game(Moody(), market, name=name, **settings)
            first.play(Listed(list(first.feed.moments())[:killed]))
            first.close()
            again, switch, seen = game(Moody(), market, name=name, **settings), StopSwitch(), [0]

            def tell(ts: int, seen=seen, switch=switch, stopped=stopped) -> None:
                seen[0] += 1
                if seen[0] == stopped:
                    switch.stop("enough")

            how = again.play(switch=switch, on_moment=tell).how
            inputs = again.column("inputs", "what").tolist()
            again.close()
            assert inputs == [] and how == "stopped before it had caught up: enough" or inputs == ["stop"]
            last = game(Moody(), market, name=name, **settings)
            assert last.play().how == "ended"
            assert inputs or last.journal.digest() == digest
            last.close()


@pytest.mark.parametrize("at_stop", ["flatten", "hold"])
def test_stopped_after_any_moment_it_goes_on_and_a_third_run_agrees(game, noisy, at_stop):
    """Between a bar and its decision, between a decision and its fill: the stop is repeated where it was."""
    market = {"AAA": noisy(n=38)}
    settings = {"scheme": Signed(), "limits": Limits(at_stop=at_stop), "fill": "same_close"}
    settings["exchange"] = Exchange(latency_ms=5.0, price_digits=8, money_digits=8)
    count = len(list(game(Moody(), market, name="count", **settings).feed.moments()))
    for moment in range(1, count):
        digests = []
        for part in range(3):
            played = game(Moody(), market, name=f"{at_stop}-{moment}", **settings)
            switch, seen = StopSwitch(), [0]

            def tell(ts: int, seen=seen, switch=switch, part=part, moment=moment) -> None:
                seen[0] += 1
                if part == 0 and seen[0] == moment:
                    switch.stop("lunch")

            played.play(switch=switch, on_moment=tell)
            digests.append(played.journal.digest())
            played.close()
        assert digests[1] == digests[2] != digests[0], moment


def test_a_stop_by_a_limit_is_not_lifted_by_one_by_hand(game, noisy):
    market, settings = {"AAA": noisy(n=60)}, {"limits": Limits(max_failures=2)}
    first, switch = game(Broken([3, 4]), market, **settings), StopSwitch()

    def tell(ts: int) -> None:
        if len(first.column("totals", "ts")) == 15:
            switch.stop("enough of it")

    assert "max_failures" in first.play(switch=switch, on_moment=tell).how
    first.close()
    again = game(Broken([]), market, **settings)
    assert "max_failures" in again.play().how and len(again.column("decisions", "ts")) == 4


def test_a_changed_past_stops_a_run_that_goes_on(game, noisy):
    market = noisy()
    first = game(Moody(), {"AAA": market})
    first.play()
    digest = first.journal.digest()
    first.close()
    shorter = {name: getattr(market, name)[1:] for name in ("dates", "open", "high", "low", "close", "volume")}
    with pytest.raises(JournalError, match="settings history: value was"):
        game(Moody(), {"AAA": replace(market, **shorter)}, 29)
    with Journal(first.journal.path, read_only=True) as journal:
        assert journal.digest() == digest


def test_one_journal_has_one_writer_and_any_number_of_readers(game, noisy):
    played = game(Moody(), {"AAA": noisy(n=34)})
    with pytest.raises(JournalError, match=f"being written by process {os.getpid()}"):
        Journal(played.journal.path)
    played.play()
    with Journal(played.journal.path, read_only=True) as one, Journal(played.journal.path, read_only=True) as two:
        assert one.digest() == two.digest() == played.journal.digest()


def test_a_journal_of_other_settings_is_not_gone_on_with(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin({"seed": 0, "fill": "next_open"})
    with Journal(tmp_path / "journal.sqlite") as journal, pytest.raises(JournalError, match="seed 0 there, 1 here"):
        journal.begin({"seed": 1, "fill": "next_open"})


def test_a_folder_may_have_a_dot_in_its_name(tmp_path):
    assert journal_path(tmp_path / "lr-0.1") == tmp_path / "lr-0.1" / "journal.sqlite"
    assert journal_path(tmp_path / "old.sqlite") == tmp_path / "old.sqlite"


def test_a_journal_is_for_its_owner_alone(tmp_path):
    with Journal(tmp_path / "journal.sqlite"):
        assert (tmp_path / "journal.sqlite").stat().st_mode & 0o077 == 0


def test_what_is_no_journal_is_named(tmp_path):
    (tmp_path / "journal.sqlite").write_text("no database, but long enough to look like one " * 20)
    with pytest.raises(JournalError, match="no journal of a live run"):
        Journal(tmp_path / "journal.sqlite", read_only=True)
    with pytest.raises(FileNotFoundError, match="flag-trl simulate"):
        Journal(tmp_path / "none.sqlite", read_only=True)


def test_a_row_is_written_once_and_a_second_truth_is_refused(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal:
        row = {"ts": 5, "symbol": "AAA", "price": 1.0, "units": 2.0, "cash": 3.0, "equity": 5.0, "since_entry": 0.0}
        assert journal.put("accounts", row) and not journal.put("accounts", row)
        with pytest.raises(JournalError, match="accounts 5, AAA: cash was 3.0 and now comes out as 4.0"):
            journal.put("accounts", {**row, "cash": 4.0})
        assert journal.put("decisions", {"ts": 5, "symbol": "AAA", "took_s": 1.0})
        assert not journal.put("decisions", {"ts": 5, "symbol": "AAA", "took_s": 2.0})
