"""The vectorised trading environment: N accounts, each over its own window of a market."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from flag_trl.accounts import POSITION_NAMES, AccountState, Costs, Fills, PositionScheme, charge_borrow, rebalance
from flag_trl.data import MarketData, Window
from flag_trl.envs.rewards import (
    DifferentialSharpe,
    DrawdownPenalised,
    LogReturn,
    Reward,
    SharpeIncrement,
    TimingReturn,
    floored_growth,
)
from flag_trl.envs.spaces import account_observation_space
from flag_trl.envs.windows import PriceBook, WindowPrices

FillAt = Literal["next_open", "same_close"]
RewardName = Literal["log_return", "timing_return", "sharpe_increment", "differential_sharpe", "drawdown_penalised"]
Arrays = dict[str, np.ndarray]


class TradingVectorEnv(VectorEnv[Arrays, np.ndarray, np.ndarray]):
    """N accounts trade side by side; every array has one element an account, shape (N,) unless said otherwise.

    Step t of an account that starts at bar s observes bar ``i = s + t`` after its close, fills at ``close[i]``
    (same_close) or ``open[i+1]`` (next_open), and is marked at ``close[i+1]``; its reward covers the equity from
    ``close[i]`` to ``close[i+1]``, costs included. Shorts pay one bar's borrowing fee at each mark.

    A window's end truncates its account. An account whose equity at a mark is not above 0 is liquidated there and
    terminated; it keeps its debt, so that money stays conserved, while its log return stops at ``log(RUIN_FLOOR)``.
    Later steps of a finished account take any action, trade nothing and give 0. Nothing resets by itself.

    Observation: ``symbol`` (index into `symbols`), ``bar`` (index into the market), ``position`` (sign of the units),
    ``cash_share`` (cash / equity; 1 after ruin), ``return_since_entry`` (equity over that before the position's first
    fill, less 1; 0 while flat), ``drawdown`` (1 - equity / peak equity), ``legal`` (int8 of shape (N, A)).

    Info of a step: ``equity``, ``weight`` (holdings / equity) and ``position`` after it; ``date`` of the bar just
    marked; ``log_return`` and ``held_position`` over that bar; the decision's fill as ``units_traded``, ``fill_price``
    (slipped, NaN without a trade) and ``cost``; ``borrow`` paid; and ``closing_units``, ``closing_price``,
    ``closing_cost`` of a position closed at the mark, by ruin or by `close_at_end`. Info of a reset: ``equity``,
    ``weight``, ``date``.

    Parameters
    ----------
    markets : mapping of str to MarketData
        By symbol.
    num_envs : int
        Number of accounts N.
    scheme : PositionScheme
        What the actions mean.
    fill : {"next_open", "same_close"}
        Where trades fill; next_open needs opens.
    costs : Costs
        Commission, slippage and borrowing.
    reward : {"log_return", "timing_return", "sharpe_increment", "differential_sharpe", "drawdown_penalised"}
        Log return of equity; what of it timing earned, beyond a constant position; the rise of the account's Sharpe
        ratio, as it is or by its derivative; or the log return less a fine for a deeper maximum drawdown. See
        `flag_trl.envs.rewards`.
    sharpe_rate : float
        Adaptation rate of ``differential_sharpe``, in (0, 1).
    drawdown_penalty : float
        Weight of the fine of ``drawdown_penalised``.
    drift : mapping of str to float, optional
        Mean log return a bar of each symbol; ``timing_return`` needs it, see `TradingRules.with_drift`.
    initial_capital : float
        Money that each account opens with.
    close_at_end : bool
        Close what is held at the window's last close, with costs, inside the last reward.
    lot_size : float
        Units are held in multiples of it; 0 trades any fraction of a unit.

    Raises
    ------
    ValueError
        For a setting out of its range, or a market without the opens or the two bars that it takes.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}

    def __init__(
        self,
        markets: Mapping[str, MarketData],
        num_envs: int,
        *,
        scheme: PositionScheme,
        fill: FillAt = "next_open",
        costs: Costs | None = None,
        reward: RewardName = "log_return",
        sharpe_rate: float = 0.01,
        drawdown_penalty: float = 1.0,
        drift: Mapping[str, float] | None = None,
        initial_capital: float = 100_000.0,
        close_at_end: bool = False,
        lot_size: float = 0.0,
    ) -> None:
        _one_of("fill", fill, get_args(FillAt))
        _one_of("reward", reward, get_args(RewardName))
        if not 0.0 < sharpe_rate < 1.0:
            raise ValueError(f"sharpe_rate is {sharpe_rate}; it must lie in (0, 1)")
        if drawdown_penalty < 0.0:
            raise ValueError(f"drawdown_penalty is {drawdown_penalty}; it cannot be negative")
        if not 0.0 <= lot_size < np.inf:
            raise ValueError(
                f"lot_size is {lot_size}; give the units of a lot, such as 1, or 0 for fractions of a unit"
            )
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; the environment needs at least one account")
        self.num_envs = num_envs
        self.scheme = scheme
        self.costs = Costs() if costs is None else costs
        self.initial_capital = initial_capital
        self.close_at_end = close_at_end
        self.lot_size = lot_size
        self._reward_name: RewardName = reward
        self._sharpe_rate = sharpe_rate
        self._drawdown_penalty = drawdown_penalty
        self._book = PriceBook(markets, fill_at_open=fill == "next_open")
        self._state = AccountState.open(num_envs, initial_capital)
        self._windows: WindowPrices | None = None
        self.symbols = self._book.symbols
        lacking = [] if reward != "timing_return" else [name for name in self.symbols if name not in (drift or {})]
        if lacking:
            raise ValueError(
                f"reward timing_return needs the mean log return of {', '.join(lacking)}: give drift, or take the "
                "rules of TradingRules.with_drift"
            )
        self._drift = np.array([(drift or {}).get(name, 0.0) for name in self.symbols])
        n_actions = len(scheme.actions)
        self._legal_row = np.arange(num_envs) * n_actions
        self.single_observation_space = account_observation_space(
            len(self.symbols), int(self._book.bars.max()), n_actions
        )
        self.single_action_space = spaces.Discrete(n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Arrays, Arrays]:
        """Open the accounts anew at the start of their windows.

        Parameters
        ----------
        seed : int, optional
            Of the draw of windows.
        options : dict, optional
            ``windows``: exactly N of `flag_trl.data.Window`; lengths may differ. Drawn at random if left out.

        Returns
        -------
        observation, info

        Raises
        ------
        ValueError
            For an unknown option, another number of windows, or a window that does not fit its market.
        """
        super().reset(seed=seed)
        windows = self._windows_option(options)
        self._windows = self._book.gather(windows)
        self._state = AccountState.open(self.num_envs, self.initial_capital)
        self._t = 0
        self._shortest = int(self._windows.length.min())
        self._equity = self._state.equity(self._windows.close(0))
        self._ruined = np.zeros(self.num_envs, dtype=bool)
        self._alive = np.ones(self.num_envs, dtype=bool)
        self._all_alive = True
        self._reward = self._new_reward(self._windows)
        observation = self._observe(self._windows, self._equity)
        self._weight = 1.0 - observation["cash_share"]
        info = {
            "equity": self._equity.copy(),
            "weight": self._weight.copy(),
            "date": self._windows.date(0),
        }
        return observation, info

    def step(self, actions: np.ndarray) -> tuple[Arrays, np.ndarray, np.ndarray, np.ndarray, Arrays]:
        """Trade, move to the next close, and mark.

        Parameters
        ----------
        actions : np.ndarray
            Indices of actions, integers of shape (N,).

        Returns
        -------
        observation, reward, terminated, truncated, info
            Rewards are float64; both flags stay set once they are.

        Raises
        ------
        ValueError
            For an illegal action, naming account, date, action and what is legal; for a wrong shape or type.
        gymnasium.error.ResetNeeded
            Before the first reset.
        """
        if self._windows is None:
            raise ResetNeeded("step before reset; call reset first")
        windows = self._windows
        target = self.scheme.target_weight(self._checked(actions, windows))
        exposure = np.where(np.isnan(target), self._weight, target)
        close = windows.close(self._t + 1)
        info = self._trade(windows, close, target)

        equity = self._state.mark(close)
        growth = floored_growth(self._equity, equity, self._alive)
        log_return = np.log(growth)
        reward = self._reward.update(log_return, exposure) * self._alive
        self._equity = equity
        self._t += 1
        truncated = self._finish(windows, equity)
        observation = self._observe(windows, equity)
        info["equity"] = equity.copy()
        self._weight = 1.0 - observation["cash_share"]
        info["weight"] = self._weight.copy()
        info["position"] = observation["position"].copy()
        info["date"] = windows.date(self._t)
        info["log_return"] = log_return
        return observation, reward, self._ruined.copy(), truncated, info

    def _new_reward(self, windows: WindowPrices) -> Reward:
        """The reward's memory, empty."""
        if self._reward_name == "timing_return":
            return TimingReturn(self._drift[windows.symbol])
        if self._reward_name == "sharpe_increment":
            return SharpeIncrement(windows.periods_per_year)
        if self._reward_name == "differential_sharpe":
            return DifferentialSharpe(self.num_envs, self._sharpe_rate)
        if self._reward_name == "drawdown_penalised":
            return DrawdownPenalised(self.num_envs, self._drawdown_penalty)
        return LogReturn()

    def _trade(self, windows: WindowPrices, close: np.ndarray, target: np.ndarray) -> Arrays:
        """Fill the decisions, charge shorts at the mark, close what is due there; info of all that."""
        state = self._state
        if not self._all_alive:
            target = np.where(self._alive, target, np.nan)
        fills = rebalance(state, windows.fill(self._t), target, self.costs, self.lot_size)
        held = state.position * self._alive
        borrow = charge_borrow(state, close, self.costs, windows.periods_per_year, where=self._alive)
        closing = self._close_positions(windows, close)
        return {
            "held_position": held,
            "units_traded": fills.units,
            "fill_price": fills.price,
            "cost": fills.cost,
            "borrow": borrow,
            "closing_units": closing.units,
            "closing_price": closing.price,
            "closing_cost": closing.cost,
        }

    def _windows_option(self, options: dict[str, Any] | None) -> Sequence[Window]:
        unknown = sorted(set(options or {}) - {"windows"})
        if unknown:
            raise ValueError(f"reset: unknown options {', '.join(unknown)}; there is only windows")
        if not options:
            return self._book.draw(self.num_envs, self.np_random)
        windows: Sequence[Window] = options["windows"]
        if len(windows) != self.num_envs:
            raise ValueError(f"reset: {len(windows)} windows for {self.num_envs} accounts; give one an account")
        return windows

    def _checked(self, actions: np.ndarray, windows: WindowPrices) -> np.ndarray:
        """The actions, with 0 in place of whatever finished accounts were given."""
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise ValueError(
                f"actions have shape {actions.shape} and dtype {actions.dtype}; give integers of shape "
                f"({self.num_envs},)"
            )
        if not self._all_alive:
            actions = np.where(self._alive, actions, 0)
        n_actions = self._legal.shape[1]
        if actions.min() < 0 or actions.max() >= n_actions:
            allowed = (actions >= 0) & (actions < n_actions)
        else:
            allowed = self._legal.ravel().take(self._legal_row + actions)
        if not allowed.all():
            raise ValueError(self._illegal(int(allowed.argmin()), actions, windows))
        return actions

    def _illegal(self, n: int, actions: np.ndarray, windows: WindowPrices) -> str:
        names = self.scheme.actions
        action = int(actions[n])
        name = f" ({names[action]})" if 0 <= action < len(names) else ""
        legal = ", ".join(f"{a} ({names[a]})" for a in np.flatnonzero(self._legal[n]))
        position = POSITION_NAMES[int(self._state.position[n])]
        return (
            f"account {n} ({self.symbols[windows.symbol[n]]}, {windows.date(self._t)[n]}): action {action}{name} is "
            f"illegal while {position}; legal are {legal}"
        )

    def _close_positions(self, windows: WindowPrices, close: np.ndarray) -> Fills:
        """Close, at the mark, accounts that are ruined and, by option, those whose window ends here."""
        ruined = self._state.equity(close) <= 0.0
        due = ruined | (windows.length == self._t + 1) if self.close_at_end else ruined
        if not due.any():
            return Fills(np.zeros(self.num_envs), np.full(self.num_envs, np.nan), np.zeros(self.num_envs))
        return rebalance(self._state, close, np.where(due & self._alive, 0.0, np.nan), self.costs)

    def _finish(self, windows: WindowPrices, equity: np.ndarray) -> np.ndarray:
        """Bring up to date which accounts are ruined and alive; return those whose window is over."""
        if equity.min() <= 0.0:
            self._ruined = equity <= 0.0
        if self._t < self._shortest:
            truncated = np.zeros(self.num_envs, dtype=bool)
        else:
            truncated = (windows.length <= self._t) & ~self._ruined
        self._alive = ~(self._ruined | truncated)
        self._all_alive = bool(self._alive.all())
        return truncated

    def _observe(self, windows: WindowPrices, equity: np.ndarray) -> Arrays:
        state = self._state
        position = state.position
        self._legal = self.scheme.legal_actions(position)
        if not self._all_alive:
            self._legal = self._legal | ~self._alive[:, None]
        if self._ruined.any():
            cash_share = np.where(self._ruined, 1.0, state.cash / np.where(self._ruined, 1.0, equity))
        else:
            cash_share = state.cash / equity
        return {
            "symbol": windows.symbol.copy(),
            "bar": windows.start + np.minimum(self._t, windows.length),
            "position": position,
            "cash_share": cash_share,
            "return_since_entry": (equity / state.entry_equity - 1.0) * (position != 0),
            "drawdown": 1.0 - equity / state.peak_equity,
            "legal": self._legal.astype(np.int8),
        }


def _one_of(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{what} is {value!r}; choose one of {', '.join(allowed)}")
