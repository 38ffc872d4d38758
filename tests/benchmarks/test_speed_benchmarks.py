"""What the speed benchmarks say follows from what they measured, and what they run is what they say."""

import json
import os

import pytest
from rich.console import Console

from benchmarks import bench_backtest, bench_scaling, bench_training, contenders, grpo
from benchmarks.bench_training import GRPO, Cell
from benchmarks.contenders import EVERYTHING, LADDER, SLOW, Clock, Run
from benchmarks.isolated import isolated
from flag_trl.observations import ObservationConfig


class State:
    """What a callback is told of a run."""

    def __init__(self) -> None:
        self.global_step = 0
        self.should_training_stop = False


def ticked(durations: list[float], budget: float, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that has watched steps of the given seconds until it called the end."""
    clock, now, control = Clock(budget), [0.0], State()
    monkeypatch.setattr(contenders.time, "perf_counter", lambda: now[0])
    for duration in durations:
        if control.should_training_stop:
            break
        clock.on_step_begin(None, control, control)
        now[0] += duration
        clock.on_step_end(None, control, control)
    return clock


def test_the_first_step_does_not_count_unless_it_is_long(monkeypatch) -> None:
    assert ticked([3.0, 1.0, 1.5], 4.5, monkeypatch).timed == [1.0, 1.5]
    assert ticked([SLOW + 1, 20.0], 25.0, monkeypatch).timed == [SLOW + 1, 20.0]


def test_a_run_ends_with_its_budget_and_times_one_step_at_least(monkeypatch) -> None:
    assert ticked([1.0] * 9, 3.5, monkeypatch).timed == [1.0] * 3
    assert ticked([9.0, 9.0, 9.0], 2.0, monkeypatch).timed == [9.0]


def test_every_saving_is_switched_on_in_addition_to_those_before() -> None:
    names = list(LADDER)
    assert names[0] == "plain" and set(LADDER["plain"].values()) == {"none", False}
    for before, after in zip(names[:-2], names[1:-1], strict=True):
        changed = [key for key in LADDER[after] if LADDER[after][key] != LADDER[before][key]]
        assert len(changed) == 1, after
    assert LADDER[EVERYTHING] == {"share": "prefixes", "trunk_cache": True, "table_rollouts": True}


def test_the_cells_hold_all_contenders_rollouts_and_account_texts() -> None:
    found = list(bench_training.cells(quick=False))
    assert len({(c.contender, c.text, c.rollouts) for c in found}) == len(found)
    for text in ("position", "full"):
        for rollouts in (1, 8, 32):
            mine = {c.contender for c in found if (c.text, c.rollouts) == (text, rollouts)}
            left_out = {"+ window in one table"} if text == "full" else set()
            left_out |= {"cache alone"} if (text, rollouts) != bench_training.HEADLINE else set()
            assert mine - set(GRPO) == set(LADDER) - left_out
    assert {c.contender for c in bench_training.cells(quick=True)} == {*GRPO, *LADDER}


def test_the_ratios_are_of_transitions_a_second_at_eight_rollouts() -> None:
    rates = dict(zip([*GRPO, *LADDER], (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 40.0, 5.0), strict=True))
    rows = [(Cell(n, "position", 8, 16, 1), Run([2.0, 1.0, 1.0], int(10 * r), 5, 1.0, 50)) for n, r in rates.items()]
    rows.append((Cell("plain", "full", 8, 16, 1), Run([1.0], 999, 5)))
    found = bench_training.figures(rows, matmul=100.0)
    assert found["ratio_vs_grpo"] == 80 and found["ratio_vs_grpo_one_token"] == 40
    assert found["ratio_vs_plain"] == 20 and found["matmul_share"] == 0.5
    assert found["ratio_vs_plain_first_visit"] == 10
    assert found["ratio_of_sharing"] * found["ratio_of_caching"] == pytest.approx(20)
    json.dumps(found)
    console = Console(width=140, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(bench_training.table(found))
    text = console.export_text()
    assert all(name in text for name in rates)


def test_a_fork_returns_what_was_measured_and_its_failure_with_the_reason() -> None:
    assert isolated(max, 3, 5) == 5
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        isolated(divmod, 1, 0)
    with pytest.raises(RuntimeError, match="exit code 3"):
        isolated(os._exit, 3)


def test_an_answer_is_the_first_action_word_in_it() -> None:
    words = ("sell", "hold", "buy")
    assert grpo._parse("I would Buy, not sell.", words) == "buy"
    assert grpo._parse("Perhaps.", words) is None


def test_the_backtest_ratios_are_of_one_symbol() -> None:
    peers = {"generate, day by day": 2, "generate, one token": 5, "generate, 32 prompts": 4}
    rates = {**peers, "backtest, first": 8, "backtest, again": 40}
    rows = [bench_backtest._row(name, 1, 250, rate, [1.0, 2.0, 1.0]) for name, rate in rates.items()]
    rows.append(bench_backtest._row("backtest, again", 10, 250, 999, [1.0]))
    found = bench_backtest.figures(rows)
    assert found["ratio_vs_generate"] == 20 and found["ratio_vs_generate_batched"] == 10
    assert found["ratio_vs_generate_one_token"] == 8
    assert found["ratio_vs_generate_first"] == 4 and found["ratio_vs_generate_batched_first"] == 2


def test_a_hundred_symbols_are_accounts_of_as_many_days_each() -> None:
    markets, periods = bench_backtest.accounts(100, 250)
    assert len(markets) * len(periods) == 100
    assert len(set(bench_backtest.SYMBOLS)) == 20
    (row,) = bench_backtest.without_model(10, 20)
    assert row["decisions"] == 200


def test_an_exponent_is_the_slope_of_the_logarithms() -> None:
    assert bench_scaling.exponent([1, 3, 10], [2, 18, 200]) == pytest.approx(2)
    assert bench_scaling.exponent([1, 3, 10], [5, 5, 5]) == pytest.approx(0)


@pytest.mark.real_model
def test_a_step_of_everything_counts_its_transitions_and_operations(real_model) -> None:
    run = contenders.train(
        EVERYTHING, str(real_model), ObservationConfig(past_returns=3), 4, 3, budget=0.0, layers=2, count=True
    )
    assert run.transitions == 12 and 3 <= run.states <= 5 and run.first_seconds > 0
    assert run.gflops > 1 and len(run.seconds) == 1
