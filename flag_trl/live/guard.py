"""Limits on what is traded, checked before every order and apart from the model."""

from dataclasses import dataclass

from flag_trl.live.settings import Limits

SLACK = 1e-9


@dataclass(frozen=True)
class TargetPosition:
    """A position that is wanted.

    Attributes
    ----------
    symbol : str
    held, wanted : float
        Units before and after.
    price : float
        At which the order would be filled, as far as is known.
    equity : float
        The symbol's part of the account's.
    age_s : float
        Seconds since the bar that it was decided from.
    """

    symbol: str
    held: float
    wanted: float
    price: float
    equity: float
    age_s: float

    @property
    def smaller(self) -> bool:
        """Whether the position only becomes smaller."""
        return self.held * self.wanted >= 0.0 and abs(self.wanted) < abs(self.held)


class Guard:
    """Watches the account over days and judges targets.

    Parameters
    ----------
    limits : Limits
    equity : float
        Of the whole account at the start.
    """

    def __init__(self, limits: Limits, equity: float) -> None:
        self.limits = limits
        self._day: object = None
        self._equity = self._day_equity = self._peak = equity
        self._traded = 0.0

    def marked(self, day: object, equity: float) -> None:
        """The account is worth this on a day of the exchange's calendar."""
        self.new_day(day)
        self._equity = equity
        self._peak = max(self._peak, equity)

    def new_day(self, day: object) -> None:
        """A day begins, where it is another one: turnover and loss are counted from here."""
        if day != self._day:
            self._day, self._day_equity, self._traded = day, self._equity, 0.0

    def traded(self, money: float) -> None:
        """An order of so much was sent."""
        self._traded += abs(money)

    @property
    def loss(self) -> float:
        """Since the day before, as a fraction; below zero for a gain."""
        return 1.0 - self._equity / self._day_equity

    @property
    def drawdown(self) -> float:
        """From the highest equity, as a fraction."""
        return 1.0 - self._equity / self._peak

    @property
    def turnover(self) -> float:
        """Traded today, as a fraction of the day's first equity."""
        return self._traded / self._day_equity

    def judge(self, target: TargetPosition) -> tuple[float, str | None]:
        """The units that may be held: those wanted, or none where only that is allowed, or those held already.

        Returns
        -------
        units : float
        why : str, optional
            The limit that stood in the way, in words.
        """
        why = self._why_not(target)
        if why is None:
            return target.wanted, None
        if target.held * target.wanted < 0.0:
            closing = TargetPosition(target.symbol, target.held, 0.0, target.price, target.equity, target.age_s)
            if self._why_not(closing) is None:
                return 0.0, why
        return target.held, why

    def _why_not(self, target: TargetPosition) -> str | None:
        limits = self.limits
        if target.age_s > limits.max_age_s:
            return f"max_age_s: decided from a bar {target.age_s:.0f} s old, {limits.max_age_s:.0f} allowed"
        if target.smaller or target.wanted == target.held:
            return None
        if target.equity <= 0.0:
            return "there is no equity left"
        position = abs(target.wanted) * target.price / target.equity
        order = abs(target.wanted - target.held) * target.price / target.equity
        turnover = self.turnover + abs(target.wanted - target.held) * target.price / self._day_equity
        for name, found, allowed in (
            ("max_position", position, limits.max_position),
            ("max_order", order, limits.max_order),
            ("max_turnover", turnover, limits.max_turnover),
        ):
            if found > allowed + SLACK:
                return f"{name}: {found:.4g} of equity, {allowed:.4g} allowed"
        if self.loss >= limits.max_loss:
            return f"max_loss: {self.loss:.2%} lost today, {limits.max_loss:.2%} allowed"
        return None

    @property
    def broken(self) -> str | None:
        """Why the run must stop; None where it need not."""
        if self.drawdown >= self.limits.max_drawdown:
            return (
                f"max_drawdown: {self.drawdown:.2%} below the highest equity, {self.limits.max_drawdown:.2%} allowed"
            )
        return None

    @property
    def headroom(self) -> dict[str, tuple[float, float]]:
        """By limit what is used and what is allowed, of those that hold for the whole account."""
        limits = self.limits
        return {
            "max_turnover": (self.turnover, limits.max_turnover),
            "max_loss": (max(self.loss, 0.0), limits.max_loss),
            "max_drawdown": (self.drawdown, limits.max_drawdown),
        }
