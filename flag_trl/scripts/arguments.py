"""The options of a recipe: what is traded, how, and which model decides and what it reads."""

from dataclasses import dataclass, field
from typing import Literal

from flag_trl.data import Alteration, TextKnown
from flag_trl.envs import FillAt, RewardName
from flag_trl.observations import NewsSelector, NumberForm
from flag_trl.observations.indicators import KINDS


@dataclass
class MarketArguments:
    """Which prices and texts, and which days train, validate and test."""

    data: str = field(
        default="sample",
        metadata={
            "help": "`sample` (20 US stocks, closes, 1990-2022), a .json, .csv or .parquet file, a folder, a Hub id."
        },
    )
    symbols: list[str] = field(default_factory=lambda: ["MSFT"], metadata={"help": "Symbols to train on and to test."})
    unseen_symbols: list[str] = field(
        default_factory=list, metadata={"help": "Symbols that the backtest trades besides; training never sees them."}
    )
    text_known: TextKnown = field(default="after_close", metadata={"help": "When a day's news count as known."})
    filings_known: TextKnown = field(default="after_close", metadata={"help": "When its 10-K and 10-Q do."})
    context: list[str] = field(
        default_factory=list, metadata={"help": "Symbols whose returns are shown beside, such as an index."}
    )
    context_data: str | None = field(default=None, metadata={"help": "Where they are, if elsewhere than `data`."})
    events: str | None = field(
        default=None, metadata={"help": "CSV of date, name, known and symbol: days to the next event are shown."}
    )
    counterfactual: Alteration | None = field(
        default=None, metadata={"help": "Alter the days: prices mirrored, dates moved ten years, or names replaced."}
    )
    periods_per_year: int = field(default=252, metadata={"help": "Bars a year: 252 for stocks, 365 for crypto."})
    train_period: list[str] = field(default_factory=list, metadata={"help": "First and last day of training."})
    validation_period: list[str] = field(default_factory=list, metadata={"help": "First and last day of validation."})
    test_periods: dict = field(
        default_factory=dict, metadata={"help": "Name to first and last day of each test period (in the recipe file)."}
    )
    episode_length: int = field(default=60, metadata={"help": "Decisions in a training episode."})
    episode_stride: int | None = field(
        default=None, metadata={"help": "Days between the starts of training episodes; by default their length."}
    )
    notes: list[str] = field(
        default_factory=list,
        metadata={"help": "What every report says besides: training cut-off of the model, survivorship, trials."},
    )
    validation_length: int | None = field(
        default=None, metadata={"help": "Decisions in a validation episode; by default the whole period is one."}
    )


@dataclass
class RulesArguments:
    """How accounts trade and what is rewarded."""

    scheme: Literal["all_in", "signed", "target"] = field(
        default="all_in", metadata={"help": "What the actions mean."}
    )
    grid: list[float] | None = field(default=None, metadata={"help": "Weights of the `target` scheme."})
    fill: FillAt = field(default="next_open", metadata={"help": "When orders fill."})
    commission_bps: float = field(default=0.0, metadata={"help": "Commission, basis points of the money traded."})
    slippage_bps: float = field(default=0.0, metadata={"help": "Slippage, basis points of the price."})
    borrow_rate: float = field(default=0.0, metadata={"help": "Yearly fee on money sold short, as a fraction."})
    reward: RewardName = field(
        default="log_return",
        metadata={"help": "What training maximises; `timing_return` leaves out what the market's drift pays."},
    )
    sharpe_rate: float = field(default=0.01, metadata={"help": "Adaptation rate of the reward `differential_sharpe`."})
    drawdown_penalty: float = field(
        default=1.0, metadata={"help": "Weight of the fine in the reward `drawdown_penalised`."}
    )
    close_at_end: bool = field(default=False, metadata={"help": "Close the last position when an episode ends."})
    lot_size: float = field(
        default=0.0, metadata={"help": "Units are held in multiples of it: 1 for whole shares, 0 for any fraction."}
    )


@dataclass
class PolicyArguments:
    """Which model decides, what of it trains, and what it reads."""

    model_name_or_path: str = field(
        default="models/SmolLM2-135M-Instruct", metadata={"help": "Model folder or Hub id of the untrained model."}
    )
    words: dict = field(
        default_factory=dict,
        metadata={"help": "Action name to the word for it (in the recipe file); by default the name."},
    )
    tuning: Literal["top_layers", "lora", "dora", "full"] = field(
        default="top_layers", metadata={"help": "What trains."}
    )
    num_trainable_layers: int = field(default=6, metadata={"help": "Decoder layers that train, from the top."})
    train_final_norm: bool = field(default=False, metadata={"help": "Whether the norm above them trains too."})
    lora_rank: int = field(default=16, metadata={"help": "Rank of the adapters with `tuning: lora`."})
    lora_alpha: int = field(default=32, metadata={"help": "Scale of the adapters with `tuning: lora`."})
    trunk_bits: Literal[16, 8, 4] = field(
        default=16, metadata={"help": "8 or 4: load the layers that do not train in so many bits (GPU, bitsandbytes)."}
    )
    prompt_template: str | None = field(default=None, metadata={"help": "Jinja file instead of the default prompt."})
    account_text: Literal["position", "full"] = field(
        default="position", metadata={"help": "What the prompt says of the account."}
    )
    past_returns: int = field(default=5, metadata={"help": "One-day returns written out."})
    indicators: list[str] = field(
        default_factory=lambda: ["momentum20", "volatility20"],
        metadata={"help": f"Indicators and their look-back in bars; there are {', '.join(KINDS)}."},
    )
    numbers: NumberForm = field(
        default="text", metadata={"help": "Returns and indicators as text, as soft tokens made of numbers, or both."}
    )
    soft_tokens: int = field(default=4, metadata={"help": "How many soft tokens."})
    soft_bars: int = field(default=20, metadata={"help": "Bars that they are made of."})
    chart_bars: int = field(
        default=0, metadata={"help": "Bars of a chart, for vision-language models such as SmolVLM; 0 for none."}
    )
    weekday: bool = field(default=False, metadata={"help": "Name the day of the week."})
    anonymise: bool = field(
        default=False, metadata={"help": "Replace symbol, `news_query`, other tickers and dates in prompts."}
    )
    news_items: int = field(default=0, metadata={"help": "At most so many of the day's news are shown."})
    news_budget: int = field(default=60, metadata={"help": "Tokens that they may take together."})
    news_selector: NewsSelector = field(
        default="latest",
        metadata={
            "help": "Which come first: the latest, the closest to `news_query`, the newest in content, or both."
        },
    )
    news_query: list[str] = field(
        default_factory=list,
        metadata={"help": "Words of relevant news beside the symbol, such as the company's name."},
    )
    filing_budget: int = field(default=0, metadata={"help": "Tokens for the latest 10-K and 10-Q; 0 for none."})
    memory_items: int = field(
        default=0, metadata={"help": "At most so many texts of earlier days, with what followed them."}
    )
    memory_budget: int = field(default=60, metadata={"help": "Tokens that they may take together."})
    reflections: int = field(
        default=0,
        metadata={"help": "At most so many of the account's own closed trades are recalled; ends sharing of states."},
    )
    reflection_budget: int = field(default=40, metadata={"help": "Tokens that they may take together."})
