"""The environment benchmark counts its steps rightly, and goes on without a peer that fails."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import bench_env, peer_environment
from benchmarks.bench_env import (
    GYM_ANYTRADING,
    TORCHTRADE,
    headline,
    own_time,
    peer_timings,
    rates,
    run,
    show,
    time_ours,
)
from benchmarks.env_timing import BARS, Timing, daily_bars, draws, time_episodes
from benchmarks.peer_environment import PeerError, install, measure
from flag_trl.envs import TradingVectorEnv

TINY = Timing(accounts=8, steps=10, repetitions=2, seconds=0.0)


def row(environment: str, accounts: int, seconds: list[float], episodes: list[int], steps: int = 100) -> dict:
    return {
        "environment": environment,
        "accounts": accounts,
        "steps": steps,
        "repetitions": len(seconds),
        "seconds": seconds,
        "episodes": episodes,
    }


def quiet() -> Console:
    return Console(record=True, width=100, file=open("/dev/null", "w"))


def test_a_rate_is_accounts_times_steps_times_episodes_a_second():
    assert rates(row("any", 4, [2.0, 0.5], [3, 1])) == [600.0, 800.0]


def test_the_headline_takes_medians_of_log_returns_at_the_largest_number_of_accounts():
    rows = [
        row("flag-trl (log_return)", 1, [1.0], [1]),
        row("flag-trl (log_return)", 4, [1.0, 2.0, 0.1], [1, 1, 1]),
        row("flag-trl (sharpe_increment)", 4, [0.01], [1]),
        row("gym-anytrading", 1, [1e-9], [1]),
        row("gym-anytrading", 4, [8.0], [1], steps=50),
        row("TorchTrade", 4, [2.0], [1]),
    ]
    assert headline(rows) == {
        "account_steps_per_s": 400.0,
        "ratio_vs_gym_anytrading": pytest.approx(400.0 / 25.0),
        "ratio_vs_torchtrade": pytest.approx(2.0),
    }


def test_a_peer_without_a_row_has_no_ratio():
    found = headline([row("flag-trl (log_return)", 4, [1.0], [1])])
    assert found["ratio_vs_gym_anytrading"] is None and found["ratio_vs_torchtrade"] is None


@pytest.mark.parametrize("reward", ["log_return", "sharpe_increment"])
def test_ours_runs_the_steps_that_its_row_counts(reward, monkeypatch):
    steps, resets = [], []
    step, reset = TradingVectorEnv.step, TradingVectorEnv.reset

    def counted_step(env, actions):
        steps.append(len(actions))
        return step(env, actions)

    def counted_reset(env, **options):
        resets.append(env.num_envs)
        return reset(env, **options)

    monkeypatch.setattr(TradingVectorEnv, "step", counted_step)
    monkeypatch.setattr(TradingVectorEnv, "reset", counted_reset)
    found = time_ours(reward, Timing(accounts=64, steps=50, repetitions=3, seconds=0.0))
    # One untimed episode, then one a repetition.
    assert steps == [64] * 50 * 4 and resets == [64] * 4
    assert found["episodes"] == [1, 1, 1] and len(found["seconds"]) == 3
    assert (found["accounts"], found["steps"]) == (64, 50)
    assert all(rate > 0 for rate in rates(found))


def test_a_repetition_runs_whole_episodes_until_its_time_has_passed():
    ran = []
    found = time_episodes("any", lambda: not ran.append(None), Timing(1, 1, repetitions=2, seconds=0.01))
    assert sum(found["episodes"]) == len(ran) - 1
    assert all(taken >= 0.01 for taken in found["seconds"])


def test_an_environment_whose_episodes_have_another_length_is_refused():
    with pytest.raises(RuntimeError, match="any: an episode does not end with step 10"):
        time_episodes("any", lambda: False, TINY)


def test_every_environment_gets_the_same_prices_and_starts_within_them():
    np.testing.assert_array_equal(daily_bars(), daily_bars())
    starts, actions = draws(Timing(4096, 250, 1, 0.0), n_actions=3)
    assert starts.min() >= 1 and starts.max() + 250 < BARS
    assert actions.shape == (250, 4096) and set(np.unique(actions)) == {0, 1, 2}


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason_and_the_others_go_on(monkeypatch):
    def broken(peer, console):
        if peer == TORCHTRADE:
            raise PeerError("torchtrade 0.1.0 cannot be installed: ERROR: no matching distribution")
        return Path("python")

    answer = {"rows": [row("gym-anytrading", 8, [1.0], [1], steps=10)], "versions": {"gymnasium": "1"}}
    monkeypatch.setattr(bench_env, "install", broken)
    monkeypatch.setattr(bench_env, "measure", lambda peer, python, timings: answer)
    console = quiet()
    figures = json.loads(json.dumps(run([TINY], (TORCHTRADE, GYM_ANYTRADING), console)))
    show(figures, console)
    assert figures["failures"] == {
        "torchtrade 0.1.0": "torchtrade 0.1.0 cannot be installed: ERROR: no matching distribution"
    }
    assert figures["ratio_vs_torchtrade"] is None
    assert figures["ratio_vs_gym_anytrading"] == pytest.approx(figures["account_steps_per_s"] / 80.0)
    assert figures["versions"] == {"gym-anytrading": {"gymnasium": "1"}}
    printed = console.export_text()
    assert "torchtrade 0.1.0 was left out: torchtrade 0.1.0 cannot be installed" in printed
    assert "times gym-anytrading 2.0.0" in printed


def test_a_peer_that_is_not_there_says_so_from_its_own_process():
    with pytest.raises(PeerError, match="ModuleNotFoundError: No module named 't"):
        measure(TORCHTRADE, Path(sys.executable), [TINY])


def test_a_peer_that_dies_without_a_word_is_reported_with_its_status():
    with pytest.raises(PeerError, match="ended with status 1 and no figures"):
        measure(TORCHTRADE, Path("/bin/false"), [TINY])


def test_an_installation_that_fails_gives_pip_s_error_and_leaves_no_mark(tmp_path, monkeypatch):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho Collecting\necho ERROR: no such release\necho notice\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(PeerError, match="gym-anytrading 2.0.0 cannot be installed: ERROR: no such release"):
        install(GYM_ANYTRADING, quiet(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_peer_that_is_installed_is_not_installed_again(tmp_path, monkeypatch):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    (tmp_path / ".gym-anytrading-2.0.0").touch()
    monkeypatch.setattr(peer_environment, "_run", lambda *_: pytest.fail("installed again"))
    assert install(GYM_ANYTRADING, quiet(), tmp_path) == python


def test_only_gym_anytrading_at_thousands_of_accounts_runs_shorter_episodes():
    timings = [Timing(64, 250, 5, 0.5), Timing(4096, 250, 5, 0.5)]
    assert peer_timings(TORCHTRADE, timings) == timings
    assert peer_timings(GYM_ANYTRADING, timings) == [timings[0], Timing(4096, 50, 3, 0.5)]


def test_what_stays_below_the_target_comes_with_the_five_functions_that_hold_it_back(monkeypatch):
    monkeypatch.setattr(bench_env, "TARGET", float("inf"))
    console = quiet()
    figures = run([TINY], (), console)
    show(figures, console)
    assert len(figures["profile"]) == 5
    printed = console.export_text()
    assert all(entry["function"] in printed for entry in figures["profile"])
    monkeypatch.setattr(bench_env, "TARGET", 0)
    assert "profile" not in run([TINY], (), console)


def test_the_profile_is_sorted_by_own_time_and_counts_an_episode_s_calls():
    entries = own_time(TINY, top=100)
    shares = [entry["share"] for entry in entries]
    assert shares == sorted(shares, reverse=True) and 0.9 < sum(shares) <= 1.0 + 1e-9
    steps = [entry["calls"] for entry in entries if entry["function"].startswith("step (vector.py")]
    assert steps == [TINY.steps]
