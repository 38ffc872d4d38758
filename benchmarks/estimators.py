"""How far is a sampled policy gradient from the exact one? Bias and noise of every estimator, on real prices.

python -m benchmarks.estimators --json outputs/estimators.json

One window of MSFT, the agent and the rules of recipes/quickstart.yaml, the untrained SmolLM2-135M-Instruct. For each
estimator and number of rollouts, over many simulated batches, beside the exact gradient g:

  bias           length of (mean gradient - g), as a share of the length of g; after it in brackets the length that
                 chance alone gives this figure, so an unbiased estimator shows about as much
  by theory      the same bias, computed without sampling
  noise/signal   total variance of one batch's gradient over the squared length of g
  batches        to average until the variance is the squared length of the mean gradient: signal-to-noise one
  cosine         between one batch's gradient and g, on average: 1 points the right way, 0 anywhere

A window has few distinct states, and every estimator's gradient is a sum over them: sum of w(s, a) grad log pi(a | s).
So the gradients of log pi are computed once, a backward pass a state, and their inner products give the length of any
estimate from its weights w. The trainer's own gradients are the check.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

# Before the Hub's client is imported: nothing here needs the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np

from benchmarks.command import command_line, write_json

SYMBOL, DAYS = "MSFT", 20
ROLLOUTS, CHUNK, SEED = (2, 8, 32), 500, 0
COLUMNS = ("estimator", "rollouts", "bias", "by theory", "noise/signal", "batches", "cosine")
CRITICS = ("V = 0, lam 1", "V = 0, lam 0.95", "perfect V, lam 1", "perfect V, lam 0.95", "perfect V, lam 0")
ESTIMATORS = ("rloo", "batch_mean", "none", *(f"value, {critic}" for critic in CRITICS))


@dataclass(frozen=True)
class WindowPolicy:
    """The policy in each state of a window: T days, X positions, A actions, U distinct states.

    Attributes
    ----------
    moves : flag_trl.trainer.exact.Transitions
    policy : ndarray, shape (T, X, A)
        Probabilities; zero where a state cannot occur.
    row : ndarray of int64, shape (T, X)
        Which distinct state; zero where none can occur.
    basis : ndarray, shape (U, A, R)
        Coordinates of the gradient of log pi(a | u): lengths and angles are those of the full gradients.
    """

    moves: Any
    policy: np.ndarray
    row: np.ndarray
    basis: np.ndarray

    def q(self, gamma: float = 1.0) -> np.ndarray:
        """Q^pi, shape (T, X, A)."""
        from flag_trl.trainer.exact import q_values

        return q_values(self.moves, self.policy, gamma)

    def exact(self, gamma: float = 1.0) -> np.ndarray:
        """Coordinates of the exact gradient; below 1, `gamma` leaves out the factor gamma^t, as estimators do."""
        from flag_trl.trainer.exact import occupancy

        weights = occupancy(self.moves, self.policy)[..., None] * self.policy * self.q(gamma) / len(self.policy)
        return np.einsum("txa,txar->r", weights, self.basis[self.row])

    def simulate(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions, actions and rewards of N rollouts, shape (T, N) each, that `uniforms` of that shape draw."""
        from flag_trl.agent import choose

        position = np.full(uniforms.shape[1], self.moves.start)
        positions, actions, rewards = (np.empty(uniforms.shape, dtype) for dtype in (np.int64, np.int64, np.float64))
        for t, draws in enumerate(uniforms):
            positions[t] = position
            actions[t] = choose(self.policy[t, position], draws)
            rewards[t] = self.moves.rewards[t, position, actions[t]]
            position = self.moves.next_state[t, position, actions[t]]
        return positions, actions, rewards

    def gradients(self, positions: np.ndarray, actions: np.ndarray, advantages: np.ndarray, n: int) -> np.ndarray:
        """Coordinates of (1/(n T)) sum of A grad log pi(a | s) of each batch of n rollouts, shape (batches, R)."""
        (days, total), (states, kinds, rank) = actions.shape, self.basis.shape
        cell = np.arange(total) // n * states + self.row[np.arange(days)[:, None], positions]
        weights = np.bincount((cell * kinds + actions).ravel(), advantages.ravel(), total // n * states * kinds)
        return weights.reshape(total // n, -1) @ self.basis.reshape(-1, rank) / (n * days)


def window_policy(
    agent: Any, rules: Any, markets: Any, window: Any, on_state: Callable[[int, int], None] = lambda done, total: None
) -> WindowPolicy:
    """Evaluate every state of a window and the gradients there; refuses what `check_exact` of the trainer refuses."""
    from flag_trl.trainer.exact import check_exact, transitions

    check_exact(rules, agent.observation)
    listed = agent.observer(markets, rules.fill).every_state(*window, rules.scheme)
    states = agent.encode(listed)
    moves = transitions(rules, markets, window)
    possible = moves.legal.any(-1)
    policy, row = np.zeros(moves.legal.shape), np.zeros(possible.shape, dtype=np.int64)
    policy[possible], row[possible] = agent.table(listed).probabilities(listed), states.index
    return WindowPolicy(moves, policy, row, gradient_basis(agent.policy, states, on_state))


def gradient_basis(policy: Any, states: Any, on_state: Callable[[int, int], None]) -> np.ndarray:
    """Gradients of log pi(a | u) by the trained weights, in an orthonormal basis of their span; shape (U, A, R).

    With z_b = log pi(b) - log pi(first legal action), grad log pi(a) = grad z_a - sum over b of pi(b) grad z_b. So a
    backward pass is needed for every legal action but the first, and the Gram matrix of those R gradients suffices.
    """
    import torch

    weights = [p for p in policy.parameters() if p.requires_grad]
    legal = states.legal
    wanted = [(u, a) for u, mask in enumerate(legal.tolist()) for a in np.flatnonzero(mask)[1:].tolist()]
    jacobian = torch.empty(len(wanted), sum(p.numel() for p in weights))
    expand = np.zeros((*legal.shape, len(wanted)))
    for done, (u, b) in enumerate(wanted):
        ((_, batch),) = policy.batches(states.segments[u : u + 1], legal[u : u + 1])
        log_probs = policy(batch).log_probs[0]
        log_odds = log_probs[b] - log_probs[int(legal[u].int().argmax())]
        # A value head is a weight too, and no action depends on it.
        found = torch.autograd.grad(log_odds, weights, allow_unused=True, materialize_grads=True)
        torch.cat([part.flatten() for part in found], out=jacobian[done])
        expand[u, :, done] = (np.arange(legal.shape[1]) == b) - float(log_probs[b].detach().exp())
        on_state(done + 1, len(wanted))
    expand[~legal.numpy()] = 0.0
    gram = sum((part.double() @ part.double().T).numpy() for part in jacobian.split(2**19, dim=1))
    sizes, directions = np.linalg.eigh(gram)
    return expand @ (directions * np.sqrt(np.maximum(sizes, 0.0)))


def estimate(name: str, window: WindowPolicy, positions: np.ndarray, rewards: np.ndarray, n: int) -> np.ndarray:
    """The advantages that an estimator gives to sampled actions, shape (T, N), n rollouts a batch."""
    from flag_trl.trainer.advantages import advantages, gae

    if not name.startswith("value"):
        return advantages(rewards, 1.0, name, n)
    values = (window.policy * window.q()).sum(-1) * ("perfect" in name)
    judged = values[np.arange(len(rewards))[:, None], positions]
    return gae(rewards, judged, np.ones(rewards.shape, dtype=bool), 1.0, float(name.split()[-1]))


def bias_by_theory(name: str, window: WindowPolicy, n: int) -> float:
    """Length of (expected gradient - g) over that of g; with V = 0, lambda discounts rewards as gamma would."""
    if name == "batch_mean":
        return 1.0 / n
    exact = window.exact()
    expected = window.exact(float(name.split()[-1])) if "V = 0" in name else exact
    return float(np.linalg.norm(expected - exact) / np.linalg.norm(exact))


def measure(
    window: WindowPolicy,
    where: Any,
    batches: int,
    rollouts: Sequence[int] = ROLLOUTS,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Bias and noise of every estimator at every number of rollouts; all judge the same ones.

    `where` is the `Window`, which draws the actions. `batches` is rounded up to whole parts of `CHUNK`. Lengths and
    variances are in units of the exact gradient.
    """
    from flag_trl.trainer.rollouts import keyed_uniforms

    exact = window.exact()
    length = np.linalg.norm(exact)
    found: dict[tuple[str, int], list[np.ndarray]] = {(name, n): [] for n in rollouts for name in ESTIMATORS}
    parts = max(-(-batches // CHUNK), 1)
    for part in range(parts):
        simulated = window.simulate(keyed_uniforms([where], CHUNK * max(rollouts), SEED, visit=part))
        for name, n in found:
            x, a, r = (of[:, : CHUNK * n] for of in simulated)
            found[name, n].append(window.gradients(x, a, estimate(name, window, x, r, n), n) / length)
        on_batch((part + 1) * CHUNK, parts * CHUNK)
    rows = []
    for (name, n), pieces in found.items():
        gradients = np.concatenate(pieces)
        mean, variance = gradients.mean(0), float(gradients.var(0, ddof=1).sum())
        chance = variance / len(gradients)
        cosines = gradients @ (exact / length) / np.maximum(np.linalg.norm(gradients, axis=1), 1e-300)
        row: dict[str, Any] = {"estimator": name, "rollouts": n, "batches": len(gradients)}
        row |= {"bias": float(np.linalg.norm(mean - exact / length)), "bias_by_chance": float(np.sqrt(chance))}
        row |= {"bias_by_theory": bias_by_theory(name, window, n), "noise_to_signal": variance}
        # The mean's squared length is too large by what is left of the noise.
        row["batches_for_ratio_one"] = variance / max(float(mean @ mean) - chance, 1e-300)
        row |= {"cosine": float(cosines.mean()), "cosine_error": float(cosines.std() / np.sqrt(len(cosines)))}
        rows.append(row)
    return rows


def trainer_check(agent: Any, args: Any, rules: Any, markets: Any, window: Any, own: WindowPolicy) -> float:
    """Largest relative error in the length of a gradient, against backward passes through the trainer's loss."""
    from flag_trl import FlagTrainer
    from flag_trl.trainer.rollouts import keyed_uniforms

    x, a, r = own.simulate(keyed_uniforms([window], args.num_generations, args.seed, 0))
    rloo = own.gradients(x, a, estimate("rloo", own, x, r, args.num_generations), args.num_generations)[0]
    errors = []
    for baseline, expected in (("rloo", rloo), ("exact", own.exact())):
        args.baseline = baseline
        trainer = FlagTrainer(agent, args, markets, rules)
        samples, _ = trainer._collector.collect([window], visit=0)
        agent.policy.zero_grad()
        for chunk in samples.chunks(agent.policy):
            trainer.compute_loss(trainer.model, chunk).backward()
        found = [float(p.grad.norm()) for p in agent.policy.parameters() if p.grad is not None]
        errors.append(abs(np.linalg.norm(expected) / np.linalg.norm(found) - 1))
    return float(max(errors))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    epilog = "docs/estimators.md says what the estimators are and discusses the figures."
    parser = command_line("estimators", __doc__, epilog)
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument("--start", default="2019-01-02", help="first day of the window (default 2019-01-02)")
    parser.add_argument("--batches", type=int, default=20_000, help="simulated batches a row (default 20000)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = run(args.start, args.batches, folder)
    write_json(args.json, figures)
    show(figures, args.markdown)


def run(start: str, batches: int, folder: str) -> dict[str, Any]:
    """All figures of the window that begins on `start`; `folder` is the trainer's."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from transformers.utils.logging import disable_progress_bar

    from benchmarks.machine import machine
    from flag_trl.data import Window
    from flag_trl.scripts.recipe import read_recipe

    disable_progress_bar()
    options = "--entropy_coef 0 --kl_coef 0 --scale_advantages false --gamma 1 --use_cpu true --disable_tqdm true"
    options += " --eval_strategy no --save_strategy no --load_best_model_at_end false"
    options += f" --symbols {SYMBOL} --output_dir {folder} --trunk_cache_dir none --report_to none"
    recipe = read_recipe(["--config", "recipes/quickstart.yaml", *options.split()])
    markets, rules, agent = recipe.markets(), recipe.rules(), recipe.agent()
    market = markets[SYMBOL]
    window = Window(SYMBOL, int(np.searchsorted(market.dates, np.datetime64(start))), DAYS)
    agent.policy.use_cache()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:

        def bar(title: str) -> Callable[[int, int], None]:
            task = progress.add_task(title, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        own = window_policy(agent, rules, markets, window, bar("gradients of log-probabilities"))
        error = trainer_check(agent, recipe.training, rules, markets, window, own)
        rows = measure(own, window, batches, on_batch=bar("simulated batches"))
    day, close = str(market.dates[window.start]), market.close[[window.start, window.start + DAYS]]
    return {
        **{"symbol": SYMBOL, "first_day": day, "decisions": DAYS, "states": len(own.basis), "rows": rows},
        "buy_and_hold_log_return": float(np.log(close[1] / close[0])),
        "gradient_length": float(np.linalg.norm(own.exact())),
        "check_relative_error": error,
        "machine": {**machine(), "trl": version("trl")},
    }


def show(figures: dict[str, Any], markdown: bool) -> None:
    """Print what the figures belong to, the check and the table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    held, states = figures["buy_and_hold_log_return"], figures["states"]
    print(f"{SYMBOL}, {DAYS} decisions from {figures['first_day']}, {states} states, buy and hold {held:+.1%} (log)")
    print(f"length of the exact gradient {figures['gradient_length']:.3g}")
    print(f"check: the trainer's own gradients are as long, relative error {figures['check_relative_error']:.1e}")
    table = Table(box=box.MARKDOWN if markdown else box.HEAVY_HEAD)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "estimator" else "right", no_wrap=True)
    for row in figures["rows"]:
        bias = [f"{row['bias']:.1%} ({row['bias_by_chance']:.1%})", f"{row['bias_by_theory']:.1%}"]
        rest = [f"{row['noise_to_signal']:.3g}", f"{row['batches_for_ratio_one']:.3g}", f"{row['cosine']:.3f}"]
        table.add_row(row["estimator"], str(row["rollouts"]), *bias, *rest)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
