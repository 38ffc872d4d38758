"""What an observation holds, part by part, and how long each part may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from flag_trl.observations.indicators import Indicator

NUMBERS_PER_BAR = 5
COUNTS = ("past_returns", "chart_bars", "news_items", "filing_budget", "memory_items", "reflections")
BUDGETS = ("news_budget", "memory_budget", "reflection_budget")
NumberForm = Literal["text", "soft", "both"]
NewsSelector = Literal["latest", "relevance", "novelty", "combined"]


@dataclass(frozen=True, kw_only=True)
class ObservationConfig:
    """What an observation holds and how long it may be.

    Lengths are in tokens where an agent builds the observation. Of what does not fit, the least recent or the least
    relevant goes first.

    Attributes
    ----------
    past_returns : int
        How many of the latest one-bar returns are written out, oldest first.
    indicators : sequence of str
        Names with their look-back, such as ``rsi14``; see `flag_trl.observations.indicators.KINDS`.
    numbers : {"text", "soft", "both"}
        Whether returns and indicators are written out, or handed to the trained layers as numbers: a few soft tokens
        made of the last bars' prices and volumes and of the indicators; or both.
    soft_tokens, soft_bars : int
        How many soft tokens, and of how many bars.
    chart_bars : int
        Of how many bars a chart is shown, by vision-language policies alone; 0 for none.
    weekday : bool
        Whether the day of the week is named.
    next_event : bool
        Whether the days to the next event whose date is known are told.
    context : bool
        Whether the returns of the markets beside it are, over one bar and over five.
    anonymise : bool
        Whether names, tickers and dates are replaced by stand-ins; see `flag_trl.data.anonymised`.
    news_items : int
        At most this many texts other than filings that became known since the bar before.
    news_budget : int
        Length of all of them together.
    news_selector : {"latest", "relevance", "novelty", "combined"}
        Which come first: the latest; those closest to `news_query`, from the sentence on that mentions it; those least
        like the news of the days before; or by relevance and novelty together. Among equals the latest comes first,
        and near-identical items are shown once.
    news_query : sequence of str
        Words that relevant news holds, the company's name for instance; the symbol is always among them.
    filing_budget : int
        Length of the latest 10-K and 10-Q together; 0 leaves them out.
    memory_items : int
        At most so many texts of earlier days are remembered, with what the asset did the bar after; see
        `flag_trl.observations.memory`.
    memory_budget : int
        Length of all of them together.
    reflections : int
        At most so many of the account's own closed trades of the episode are recalled in the account part; see
        `flag_trl.observations.reflections`. They end the sharing of states between accounts.
    reflection_budget : int
        Length of all of them together.
    account_text : {"position", "full"}
        ``position`` says flat, long or short and nothing continuous, so that a day has few distinct states; ``full``
        adds cash, return since entry and drawdown as in the paper's prompt.

    Raises
    ------
    ValueError
        For a setting that means nothing, naming what to give instead.
    """

    past_returns: int = 5
    indicators: Sequence[str] = ("momentum20", "volatility20")
    numbers: NumberForm = "text"
    soft_tokens: int = 4
    soft_bars: int = 20
    chart_bars: int = 0
    weekday: bool = False
    next_event: bool = False
    context: bool = False
    anonymise: bool = False
    news_items: int = 0
    news_budget: int = 60
    news_selector: NewsSelector = "latest"
    news_query: Sequence[str] = ()
    filing_budget: int = 0
    memory_items: int = 0
    memory_budget: int = 60
    reflections: int = 0
    reflection_budget: int = 40
    account_text: Literal["position", "full"] = "position"

    def __post_init__(self) -> None:
        for name in ("indicators", "news_query"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise ValueError(f"{name} is the string {given!r}; give a list, such as [{given}]")
            # Of JSON and YAML come lists.
            object.__setattr__(self, name, tuple(given))
        for name in self.indicators:
            Indicator.parse(name)
        if self.account_text not in ("position", "full"):
            raise ValueError(f"account_text is {self.account_text!r}; choose position or full")
        if self.news_selector not in get_args(NewsSelector):
            choices = ", ".join(get_args(NewsSelector))
            raise ValueError(f"news_selector is {self.news_selector!r}; choose one of {choices}")
        if self.numbers not in get_args(NumberForm):
            raise ValueError(f"numbers is {self.numbers!r}; choose one of {', '.join(get_args(NumberForm))}")
        for name in ("soft_tokens", "soft_bars"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give 1 or more, or choose numbers: text")
        for name in COUNTS + BUDGETS:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it counts and cannot be negative")

    @property
    def endless(self) -> str | None:
        """What makes the states of a day endless, in the recipe's words; None where an account is its position."""
        if self.account_text != "position":
            return f"account_text {self.account_text}"
        return f"reflections {self.reflections}" if self.reflections else None

    @property
    def soft_input(self) -> tuple[int, int] | None:
        """Soft tokens of an observation, and how many numbers they are made of; None where all numbers are text."""
        if self.numbers == "text":
            return None
        return self.soft_tokens, NUMBERS_PER_BAR * self.soft_bars + 1 + len(self.indicators)
