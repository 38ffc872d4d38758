"""What the agent knows when it decides."""

from dataclasses import dataclass

from flag_trl.observations.chart import Chart
from flag_trl.observations.numbers import Numbers


@dataclass(frozen=True)
class Observation:
    """One account's knowledge on one day; equal observations are equal states of the policy.

    Attributes
    ----------
    market_text : str
        Prices and news; depends on the symbol and the day alone.
    account_text : str
        What the account holds; the only part that differs between accounts on the same day.
    legal : tuple of bool
        Which actions the account can execute, by action id.
    numbers : Numbers, optional
        Prices and indicators as numbers; depends on the symbol and the day alone.
    image : Chart, optional
        The last bars as a picture; depends on the symbol and the day alone.
    """

    market_text: str
    account_text: str
    legal: tuple[bool, ...]
    numbers: Numbers | None = None
    image: Chart | None = None
