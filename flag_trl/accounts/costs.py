"""What trading costs: commission, slippage and the borrowing of units sold short."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Costs:
    """Proportional costs of trading.

    Parameters
    ----------
    commission_bps : float
        Commission in basis points of the notional at the fill price.
    slippage_bps : float
        How far a fill lies on the wrong side of the reference price, in basis points of it: a buy fills at
        ``p * (1 + s)``, a sell at ``p * (1 - s)``.
    borrow_rate : float
        Annual fee for borrowed units, as a fraction of the short notional; one bar's share is charged at each mark.

    Raises
    ------
    ValueError
        For a negative or non-finite cost, or where commission and slippage together reach the price itself.
    """

    commission_bps: float = 0.0
    slippage_bps: float = 0.0
    borrow_rate: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"Costs: {field.name} is {value}; give a finite number that is not negative")
        if self.buy >= 1.0:
            raise ValueError(
                f"Costs: commission_bps {self.commission_bps} and slippage_bps {self.slippage_bps} together make a "
                f"buy cost {self.buy:.0%} of the price; they are basis points (1 bp = 0.01 %), so give smaller numbers"
            )

    @property
    def commission(self) -> float:
        """Commission as a fraction of the notional at the fill price."""
        return self.commission_bps * 1e-4

    @property
    def slippage(self) -> float:
        """Slippage as a fraction of the reference price."""
        return self.slippage_bps * 1e-4

    @property
    def buy(self) -> float:
        """All that a buy costs, as a fraction of its notional at the reference price: ``(1 + s)(1 + c) - 1``."""
        return (1.0 + self.slippage) * (1.0 + self.commission) - 1.0

    @property
    def sell(self) -> float:
        """All that a sell costs, as a fraction of its notional at the reference price: ``1 - (1 - s)(1 - c)``."""
        return 1.0 - (1.0 - self.slippage) * (1.0 - self.commission)
