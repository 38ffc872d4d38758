"""Position schemes: which actions there are, which of them an account may take, and what weight each asks for."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

POSITION_NAMES = {-1: "short", 0: "flat", 1: "long"}


class PositionScheme(Protocol):
    """What an action means. An action is an index into ``actions``; a position is the sign of the units held."""

    @property
    def name(self) -> str:
        """Name in recipes and reports."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions, A of them, by index."""

    @property
    def positions(self) -> tuple[int, ...]:
        """Positions that an account under this scheme can have, ascending."""

    def target_weight(self, actions: np.ndarray) -> np.ndarray:
        """Weight of equity asked for by ``actions`` (N,), float64 of shape (N,); NaN asks for no trade."""

    def legal_actions(self, position: np.ndarray) -> np.ndarray:
        """Mask of the actions open to accounts in ``position`` (N,), bool of shape (N, A)."""


@dataclass(frozen=True)
class AllIn:
    """The paper's scheme: buy with all cash, sell all holdings, or hold. Never short.

    Flat accounts may hold or buy; accounts with holdings may sell or hold (arXiv 2502.11433: actions
    that the account cannot execute are masked).
    """

    name: ClassVar[str] = "all_in"
    actions: ClassVar[tuple[str, ...]] = ("sell", "hold", "buy")
    positions: ClassVar[tuple[int, ...]] = (0, 1)
    _weights: ClassVar[np.ndarray] = np.array([0.0, np.nan, 1.0])

    def target_weight(self, actions: np.ndarray) -> np.ndarray:
        """0 for sell, NaN for hold, 1 for buy, shape (N,)."""
        return self._weights.take(actions)

    def legal_actions(self, position: np.ndarray) -> np.ndarray:
        """Sell needs holdings, buy needs none; bool of shape (N, 3)."""
        mask = np.ones((len(position), 3), dtype=bool)
        mask[:, 0] = position != 0
        mask[:, 2] = position == 0
        return mask


@dataclass(frozen=True)
class Signed:
    """Short, flat or long with the whole equity, brought back to exactly that at every fill.

    INVESTOR-BENCH's positions in {-1, 0, 1}; "hold" therefore means holding cash.
    """

    name: ClassVar[str] = "signed"
    actions: ClassVar[tuple[str, ...]] = ("sell", "hold", "buy")
    positions: ClassVar[tuple[int, ...]] = (-1, 0, 1)
    _weights: ClassVar[np.ndarray] = np.array([-1.0, 0.0, 1.0])

    def target_weight(self, actions: np.ndarray) -> np.ndarray:
        """-1 for sell, 0 for hold, 1 for buy, shape (N,)."""
        return self._weights.take(actions)

    def legal_actions(self, position: np.ndarray) -> np.ndarray:
        """Everything is legal; bool of shape (N, 3)."""
        return np.ones((len(position), 3), dtype=bool)


@dataclass(frozen=True)
class Target:
    """A grid of target weights, brought back to exactly the chosen one at every fill.

    Parameters
    ----------
    grid : tuple of float
        Weights of equity, ascending, in [-1, 1]; their percentages are the names of the actions.

    Raises
    ------
    ValueError
        Where the grid has fewer than two weights, one outside [-1, 1], or is not strictly ascending.
    """

    name: ClassVar[str] = "target"
    grid: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    _weights: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grid = tuple(float(weight) for weight in self.grid)
        if len(grid) < 2:
            raise ValueError(f"Target: grid {grid} has fewer than two weights, so there is nothing to decide")
        for weight in grid:
            if not (math.isfinite(weight) and -1.0 <= weight <= 1.0):
                raise ValueError(f"Target: weight {weight} in grid {grid} is outside [-1, 1]")
        if any(low >= high for low, high in zip(grid, grid[1:], strict=False)):
            raise ValueError(f"Target: grid {grid} is not strictly ascending; sort it and drop duplicates")
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "_weights", np.array(grid))

    @property
    def actions(self) -> tuple[str, ...]:
        """The weights as percentages: "0%", "25%", ..."""
        return tuple(f"{weight * 100:.10g}%" for weight in self.grid)

    @property
    def positions(self) -> tuple[int, ...]:
        """Signs of the weights, ascending; flat always among them, since that is how accounts open."""
        return tuple(sorted({0, *(int(math.copysign(1, weight)) for weight in self.grid if weight)}))

    def target_weight(self, actions: np.ndarray) -> np.ndarray:
        """The grid's weight for each action, shape (N,)."""
        return self._weights.take(actions)

    def legal_actions(self, position: np.ndarray) -> np.ndarray:
        """Everything is legal; bool of shape (N, A)."""
        return np.ones((len(position), len(self.grid)), dtype=bool)


def position_scheme(name: str, grid: tuple[float, ...] | None = None) -> PositionScheme:
    """Build a position scheme by its name in a recipe.

    Parameters
    ----------
    name : str
        "all_in", "signed" or "target".
    grid : tuple of float, optional
        Weights of the target scheme; its default if left out.

    Raises
    ------
    ValueError
        For an unknown name, or a grid given to a scheme that has none.
    """
    if name == Target.name:
        return Target() if grid is None else Target(tuple(grid))
    if name not in (AllIn.name, Signed.name):
        raise ValueError(f"position scheme {name!r} is unknown; choose one of all_in, signed, target")
    if grid is not None:
        raise ValueError(f"position scheme {name!r} takes no grid of weights; leave it out or choose target")
    return AllIn() if name == AllIn.name else Signed()
