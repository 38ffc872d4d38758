"""How often does each test find what is not there, and how often what is?

python -m benchmarks.significance_size

Every significance test of `flag_trl.metrics` on data simulated under its null hypothesis, at a nominal 5 %, and on
data with a planted difference. Returns have Student's t innovations with 6 degrees of freedom and GARCH(1,1) variance,
and pairs share a market; forecasts' losses have the overlap that their horizon gives them. The right share of
rejections under the null is 5 %; that of superior ability, conservative by design, at most 5 %.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.command import command_line, write_json
from benchmarks.machine import machine
from flag_trl.metrics import (
    best_of_trials,
    calibration,
    clustered_mean,
    confidence_set,
    coverage_test,
    loss_difference,
    market_model,
    sharpe_difference,
    superior_ability,
)

LEVEL = 0.05
DRAWS = 199
Rng = np.random.Generator


class Trial(NamedTuple):
    """A test at one length: what it is, and its p-value on data without (0) and with (1) something to find."""

    name: str
    n: int
    planted: str
    p_value: Callable[[Rng, int], float]


def trials() -> Iterator[Trial]:
    """Every test of the package."""
    for n in (150, 500, 1000):
        yield Trial("Sharpe difference (Ledoit-Wolf)", n, "2 a year", partial(_sharpe_difference, n, 2.0))
    yield Trial("the same", 500, "what it says to find at 80 %", partial(_sharpe_difference, 500, None))
    yield Trial("probabilistic Sharpe", 500, "2 a year", partial(_probabilistic, 500, 1))
    yield Trial("best of 20 trials", 500, "3 a year", partial(_probabilistic, 500, 20))
    yield Trial("superior ability, 6 strategies", 500, "best 2 a year ahead", partial(_superior, 500))
    yield Trial("confidence set, 4 strategies", 500, "worst 3 a year behind", partial(_confidence_set, 500))
    yield Trial("alpha (Newey-West)", 250, "2 deviations of its error", partial(_alpha, 250))
    yield Trial("day-clustered mean, 10 a day", 100, "0.3 deviations", partial(_clustered, 100))
    for share, n in ((0.05, 250), (0.5, 250)):
        name = f"mean event, held 5 bars, {share:.0%} of days"
        yield Trial(name, n, "0.5 deviations", partial(_overlapping, n, share))
    for horizon, n in ((1, 250), (5, 145), (5, 500), (20, 300), (20, 1000)):
        yield Trial(f"loss difference, {horizon} ahead", n, "0.5 deviations", partial(_loss_difference, n, horizon))
    for count, reach in ((1, 0.2), (5, 0.2), (10, 0.45)):
        name = f"calibration, {count} a day, {50 - 100 * reach:.0f}-{50 + 100 * reach:.0f} %"
        yield Trial(name, 150, "probabilities further out", partial(_calibration, 150, count, reach))
    for rate in (0.01, 0.05):
        for part in ("unconditional", "independence", "conditional"):
            planted = "1 after each third" if part == "independence" else "twice as many"
            yield Trial(f"{part} coverage at {rate:.0%}", 250, planted, partial(_coverage, 250, rate, part))


def share_rejected(trial: Trial, planted: bool, simulations: int, seed: int = 0) -> float:
    """Share of simulated samples on which the test's p-value is at most 5 %; where it has none it does not reject."""
    found = [trial.p_value(np.random.default_rng([seed, k]), int(planted)) for k in range(simulations)]
    return float(np.mean(np.array(found) <= LEVEL))


def garch(rng: Rng, n: int, columns: int) -> np.ndarray:
    """Returns of mean 0 and deviation 1 % with clustered variance and fat tails, shape (n, columns)."""
    shocks = rng.standard_t(6, (n, columns)) / np.sqrt(1.5)
    returns, variance = np.empty((n, columns)), np.ones(columns)
    for t in range(n):
        returns[t] = np.sqrt(variance) * shocks[t]
        variance = 0.05 + 0.08 * returns[t] ** 2 + 0.87 * variance
    return 0.01 * returns


def _sharpe_difference(n: int, edge: float | None, rng: Rng, planted: int) -> float:
    a, b = _two_policies(rng, n).T
    if planted:
        a = a + (_detectable(n) if edge is None else edge) * 0.01 / np.sqrt(252)
    return sharpe_difference(a, b, draws=DRAWS, seed=int(rng.integers(2**31))).p_value


@cache
def _detectable(n: int) -> float:
    """What the test says that it would find with a chance of 80 %, a year, in the mean of samples of its own."""
    samples = [_two_policies(np.random.default_rng([99, k]), n).T for k in range(100)]
    return float(np.mean([sharpe_difference(a, b, draws=1).detectable() for a, b in samples]))


def _two_policies(rng: Rng, n: int) -> np.ndarray:
    """Returns of two policies of one Sharpe ratio that share half of their variance."""
    market, own = garch(rng, n, 1), garch(rng, n, 2)
    return 0.0004 + (market + own) / np.sqrt(2)


def _probabilistic(n: int, trials: int, rng: Rng, planted: int) -> float:
    """The best of some trials, against none having skill."""
    returns = garch(rng, n, trials)
    returns[:, 0] += planted * (3 if trials > 1 else 2) * 0.01 / np.sqrt(252)
    best = returns[:, (returns.mean(0) / returns.std(0)).argmax()]
    return best_of_trials(best, trials)


def _superior(n: int, rng: Rng, planted: int) -> float:
    benchmark, own = garch(rng, n, 1), garch(rng, n, 6)
    own[:, 0] += planted * 2 * 0.01 / np.sqrt(252)
    strategies = {str(k): benchmark[:, 0] + own[:, k] for k in range(6)}
    return superior_ability(benchmark[:, 0], strategies, draws=DRAWS, seed=int(rng.integers(2**31))).p_value


def _confidence_set(n: int, rng: Rng, planted: int) -> float:
    """p-value of the one strategy that, planted, does not belong into the set."""
    own = garch(rng, n, 4)
    own[:, 0] -= planted * 3 * 0.01 / np.sqrt(252)
    found = confidence_set({str(k): own[:, k] for k in range(4)}, draws=DRAWS, seed=int(rng.integers(2**31)))
    return found["0"] if planted else min(found.values())


def _alpha(n: int, rng: Rng, planted: int) -> float:
    market, own = garch(rng, n, 2).T
    return market_model(0.7 * market + own + planted * 2 * 0.01 / np.sqrt(n), market).alpha.p_value


def _clustered(days: int, rng: Rng, planted: int) -> float:
    """Ten trades a day that share half of their variance."""
    values = (rng.standard_normal((days, 1)) + rng.standard_normal((days, 10))) / np.sqrt(2) + 0.3 * planted
    return clustered_mean(values.ravel(), np.repeat(np.arange(days), 10)).p_value


def _loss_difference(n: int, horizon: int, rng: Rng, planted: int) -> float:
    """Losses whose difference is a moving sum over the horizon, as those of overlapping forecasts are."""
    shocks = rng.standard_normal(n + horizon - 1)
    gap = np.convolve(shocks, np.full(horizon, 1 / np.sqrt(horizon)), "valid") + 0.5 * planted
    base = rng.exponential(1.0, n)
    return loss_difference(base + gap, base, horizon).p_value


def _overlapping(days: int, share: float, rng: Rng, planted: int) -> float:
    """An event on some days, whose return over five days has half of its variance from the market."""
    market = np.convolve(rng.standard_normal(days + 4), np.full(5, 1 / np.sqrt(5)), "valid")
    chosen = np.flatnonzero(rng.random(days) < share)
    values = (market[chosen] + rng.standard_normal(len(chosen))) / np.sqrt(2) + 0.5 * planted
    return clustered_mean(values, chosen, span=5).p_value


def _calibration(days: int, count: int, reach: float, rng: Rng, planted: int) -> float:
    """Probabilities of stocks that rise or fall together on half of the days; planted, they are too confident."""
    truth = rng.uniform(0.5 - reach, 0.5 + reach, (days, count))
    together = rng.random((days, 1)) < 0.5
    uniform = np.where(together, rng.random((days, 1)), rng.random((days, count)))
    said = np.clip(0.5 + (1 + planted * (2 if reach < 0.4 else 0.3)) * (truth - 0.5), 0.001, 0.999)
    clusters = np.repeat(np.arange(days), count)
    return calibration(said.ravel(), (uniform < truth).ravel(), clusters, draws=DRAWS).p_value


def _coverage(n: int, rate: float, part: str, rng: Rng, planted: int) -> float:
    hits = rng.random(n) < rate * (1 + planted * (part != "independence"))
    if planted and part == "independence":
        hits[1:] |= hits[:-1] & (rng.random(n - 1) < 1 / 3)
    found = coverage_test(hits, rate, draws=DRAWS, seed=int(rng.integers(2**31)))
    return float(getattr(found, f"p_{part}"))


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, print the table, write the figures."""
    parser = command_line("significance_size", __doc__)
    parser.add_argument("--simulations", type=int, default=2000, help="samples a line (default 2000)")
    parser.add_argument("--only", default="", help="tests whose name has this word")
    args = parser.parse_args(argv)
    table = Table("test", "n", "rejects without, %", "planted", "finds, %", box=None)
    rows: list[dict[str, Any]] = []
    console = Console(stderr=True)
    for trial in (trial for trial in trials() if args.only in trial.name):
        began = time.monotonic()
        size, power = (share_rejected(trial, planted, args.simulations) for planted in (False, True))
        rows.append({"test": trial.name, "n": trial.n, "size": size, "planted": trial.planted, "power": power})
        table.add_row(trial.name, str(trial.n), f"{100 * size:.1f}", trial.planted, f"{100 * power:.0f}")
        console.print(f"{trial.name}, n = {trial.n}: {time.monotonic() - began:.0f} s", highlight=False)
    Console(width=120).print(table)
    write_json(args.json, {"simulations": args.simulations, "draws": DRAWS, "rows": rows, "machine": machine()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
