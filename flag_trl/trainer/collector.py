"""From market windows to training samples: rollouts, what their actions were worth, and what both measure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flag_trl.agent import Agent, PolicyTable, States, Trajectory, play
from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.observations import Observation
from flag_trl.trainer.advantages import advantages, gae
from flag_trl.trainer.exact import check_exact, occupancy, q_values, transitions
from flag_trl.trainer.flag_config import FlagConfig
from flag_trl.trainer.monitor import mean_entropy, trading_metrics
from flag_trl.trainer.reference import ReferenceLogProbs
from flag_trl.trainer.rollouts import keyed_uniforms
from flag_trl.trainer.samples import Samples

# Rewards are returns or Sharpe ratios: far below one, and far above this wherever two rollouts differ by a trade.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Judged:
    """Decisions with their worth.

    Attributes
    ----------
    states : States
        The distinct states, and the one of each of S samples.
    advantages : ndarray of float64, shape (S,) or (S, A)
        Of the action that was taken or, with ``exact``, of every action times how likely the state is.
    moments : ndarray of float64, shape (3,)
        Of the advantages over the decisions: their number, their sum, and the sum of their squares.
    values : dict of str to ndarray
        What else the loss needs, first dimension S.
    taken : callable
        Advantages of the D actions that were taken, shape (D,), in the order of the trajectory's ``active``.
    """

    states: States
    advantages: np.ndarray
    moments: np.ndarray
    values: dict[str, np.ndarray]
    taken: Callable[[], np.ndarray]


class Collector:
    """Trades windows and makes samples of them.

    Parameters
    ----------
    agent : Agent
    args : FlagConfig
    markets : mapping of str to MarketData
    rules : TradingRules

    Attributes
    ----------
    reference : ReferenceLogProbs
        What the untouched model says; filled as states occur.
    tabulates : bool
        Whether rollouts are simulated from a table of the window.
    over_processes : callable
        Sum of an array over all processes; of one process, the array itself.
    last : tuple of Trajectory, list of Window and callable
        The last rollout, the window of each of its accounts, and what gives the advantages of the actions taken.

    Raises
    ------
    ValueError
        If the estimator does not fit the rules or the agent.
    """

    def __init__(self, agent: Agent, args: FlagConfig, markets: Mapping[str, MarketData], rules: TradingRules) -> None:
        self.reference = ReferenceLogProbs(agent.policy)
        self._agent, self._args, self._markets, self._rules = agent, args, markets, rules
        self._observer = agent.observer(markets, rules.fill)
        self.last: tuple[Trajectory, list[Window], Callable[[], np.ndarray]]
        self.over_processes: Callable[[np.ndarray], np.ndarray] = lambda values: values
        self.tabulates = args.table_rollouts and args.share != "none" and self._observer.finite
        if args.baseline == "exact":
            check_exact(rules, agent.observation)
            self.tabulates = True
        if args.baseline == "value" and agent.policy.value_head is None:
            raise ValueError(
                "baseline value needs a value head: build the policy with LLMPolicy(..., value_head=True)"
            )

    def every_state(self, windows: Sequence[Window]) -> list[Observation]:
        """All observations that can occur in `windows`; none where the account text makes them endless."""
        if not self._observer.finite:
            return []
        scheme = self._rules.scheme
        return [o for window in dict.fromkeys(windows) for o in self._observer.every_state(*window, scheme)]

    def tokens(self, windows: Sequence[Window]) -> int | None:
        """Tokens of the passes in which a batch of windows trains; None where the account text leaves it open."""
        states = self.every_state(windows)
        return sum(self._agent.policy.passes(self._agent.encode(states).segments)) if states else None

    def collect(self, windows: Sequence[Window], visit: int) -> tuple[Samples, dict[str, float]]:
        """Trade each window `num_generations` times, drawing actions by number.

        Parameters
        ----------
        windows : sequence of Window
        visit : int
            How often the windows came round before.

        Returns
        -------
        samples : Samples
        metrics : dict of str to float
            Of the episodes and of what is learnt from them.
        """
        args = self._args
        if not self._observer.finite and self._agent.policy.cache is not None:
            # Account texts with running numbers do not come round again.
            self._agent.policy.cache.clear()
        uniforms = keyed_uniforms(windows, args.num_generations, args.seed, visit)
        accounts = [window for window in windows for _ in range(args.num_generations)]
        table = self._agent.table(self.every_state(windows)) if self.tabulates else None
        trajectory = self._play(table or self._agent, accounts, uniforms)
        self._check_rewards(trajectory, accounts)
        if table and args.baseline == "exact":
            judged = self._exact(table, windows, trajectory)
        else:
            judged = self._sampled(trajectory)
        self.last = trajectory, accounts, judged.taken
        reference = self.reference(judged.states) if args.kl_coef else None
        count, total, squares = self.over_processes(judged.moments)
        spread = float(np.sqrt(max(squares / count - (total / count) ** 2, 0.0)))
        scaled = self._scaled(judged.advantages, spread)
        values = {"advantages": scaled.astype(np.float32), **judged.values}
        denominator = float(trajectory.active.size)
        if args.baseline == "exact":
            denominator /= args.num_generations
        metrics = {
            **self.trading_metrics(trajectory, accounts),
            "entropy": mean_entropy(trajectory),
            "advantage_std": spread,
            "states": float(len(judged.states.prompts)),
        }
        return Samples(judged.states, values, reference, denominator), metrics

    def greedy(self, windows: Sequence[Window]) -> dict[str, float]:
        """Measures of one greedy account a window."""
        table = self._agent.table(self.every_state(windows)) if self.tabulates else None
        return self.trading_metrics(self._play(table or self._agent, windows, None), windows)

    def trading_metrics(self, trajectory: Trajectory, windows: Sequence[Window]) -> dict[str, float]:
        """Measures of the episodes, and the log return of holding the asset through the same windows."""
        held = [self._markets[w.symbol].close[[w.start, w.start + w.length]] for w in windows]
        periods = [self._markets[w.symbol].periods_per_year for w in windows]
        metrics = trading_metrics(trajectory, self._rules.scheme.actions, periods)
        return {**metrics, "buy_and_hold": float(np.mean([np.log(last / first) for first, last in held]))}

    def _play(
        self, decider: Agent | PolicyTable, windows: Sequence[Window], uniforms: np.ndarray | None
    ) -> Trajectory:
        env = self._rules.make(self._markets, len(windows))
        return play(decider, env, self._observer, windows, uniforms)

    def _check_rewards(self, trajectory: Trajectory, windows: Sequence[Window]) -> None:
        """Name the first reward that is no number: one would make every weight no number."""
        odd = np.argwhere(trajectory.active & ~np.isfinite(trajectory.rewards))
        if len(odd):
            step, account = odd[0]
            symbol, start, _ = windows[account]
            day, value = self._markets[symbol].dates[start + step], trajectory.rewards[step, account]
            raise FloatingPointError(f"the reward {self._rules.reward} of {symbol} on {day} is {value}")

    def _scaled(self, advantages: np.ndarray, spread: float) -> np.ndarray:
        """Advantages over their deviation; zero where rollouts that all did the same leave nothing but rounding."""
        if not self._args.scale_advantages:
            return advantages
        return advantages / spread if spread > NEGLIGIBLE else np.zeros_like(advantages)

    def _sampled(self, trajectory: Trajectory) -> Judged:
        """The worth of the actions that were taken."""
        args, active = self._args, trajectory.active
        states = self._agent.encode([o for day in trajectory.observations for o in day])
        with np.errstate(divide="ignore"):
            old = np.log(trajectory.probabilities[active]).astype(np.float32)
        values = {"actions": trajectory.actions[active], "old_log_probs": old}
        if trajectory.values is not None and args.baseline == "value":
            found = gae(trajectory.rewards, trajectory.values, active, args.gamma, args.lam)[active]
            expected = trajectory.values[active]
            values["old_values"] = expected.astype(np.float32)
            values["returns"] = (expected + found).astype(np.float32)
        else:
            found = advantages(trajectory.rewards, args.gamma, args.baseline, args.num_generations)[active]
        moments = np.array([found.size, found.sum(), (found**2).sum()])
        return Judged(states, found, moments, values, taken=lambda: found)

    def _exact(self, table: PolicyTable, windows: Sequence[Window], trajectory: Trajectory) -> Judged:
        """The worth of every action in every state that can occur, and how likely the state is."""
        positions = np.array(self._rules.scheme.positions)
        observations, worth, likely, variance = [], [], [], 0.0
        advantage_of: list[tuple[list[Observation], np.ndarray]] = []
        for window in windows:
            listed = self._observer.every_state(*window, self._rules.scheme)
            moves = transitions(self._rules, self._markets, window)
            # The first day has the flat account alone.
            seen = np.ones(moves.rewards.shape[:2], dtype=bool)
            seen[0] = positions == 0
            policy = np.zeros(moves.rewards.shape)
            policy[seen] = table.probabilities(listed)
            q = q_values(moves, policy, self._args.gamma)
            advantage = np.where(moves.legal, q - (policy * q).sum(-1, keepdims=True), 0.0)
            visited = occupancy(moves, policy)
            variance += float((visited * (policy * advantage**2).sum(-1)).sum())
            observations += listed
            advantage_of.append((listed, advantage[seen]))
            worth.append((visited[..., None] * advantage)[seen])
            likely.append(visited[seen])
        occupied = np.concatenate(likely)
        # Weighted by how likely its state and it are, an action's advantage is 0 on average.
        moments = np.array([occupied.sum(), 0.0, variance])
        values = {"occupancy": occupied.astype(np.float32)}

        def taken() -> np.ndarray:
            rows = [dict(zip(*found, strict=True)) for found in advantage_of]
            decided = zip(np.argwhere(trajectory.active), sum(trajectory.observations, []), strict=True)
            rollouts = self._args.num_generations
            return np.array([rows[n // rollouts][o][trajectory.actions[t, n]] for (t, n), o in decided])

        return Judged(self._agent.encode(observations), np.concatenate(worth), moments, values, taken)
