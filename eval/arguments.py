"""Options of an evaluation, beside those of a recipe."""

from dataclasses import dataclass, field

TASKS = ("trading", "portfolio", "events", "risk", "audit")
OPTIONS = {
    "trading": ("costs_bps", "sampled", "random_draws", "trials", "mlp_steps", "chat_url", "chat_model"),
    "portfolio": ("costs_bps", "transfer_symbols", "rebalance_bars"),
    "events": ("costs_bps", "transfer_symbols", "event_bars"),
    "risk": ("probe_stride",),
    "audit": ("costs_bps", "audit_days", "cutoff", "trials"),
}
"""Options that a task's result depends on; another task's may change without its being run again."""


@dataclass
class EvalArguments:
    """What is judged, and how thoroughly."""

    policy: str | None = field(
        default=None,
        metadata={"help": "Folder of a trained agent, such as a training run's output folder; or `untrained`."},
    )
    tasks: list[str] = field(
        default_factory=lambda: list(TASKS), metadata={"help": f"Which of {', '.join(TASKS)}; by default all."}
    )
    period: list[str] | None = field(default=None, metadata={"help": "Names of the test periods; by default all."})
    costs_bps: list[float] = field(
        default_factory=lambda: [0.0, 5.0, 20.0], metadata={"help": "Commissions at which trading is repeated."}
    )
    sampled: int = field(default=10, metadata={"help": "Runs of each policy with drawn actions."})
    random_draws: int = field(default=1000, metadata={"help": "Accounts that trade at random."})
    trials: int | None = field(
        default=None,
        metadata={"help": "Configurations tried to find this policy; by default what its trials.jsonl counts."},
    )
    cutoff: str | None = field(
        default=None,
        metadata={"help": "Last day that the base model's training text may tell of; by default not known."},
    )
    transfer_symbols: list[str] = field(
        default_factory=list,
        metadata={"help": "Assets of the portfolio and event tasks; by default all that are traded."},
    )
    rebalance_bars: int = field(default=21, metadata={"help": "Bars between two portfolios; 21 are a month."})
    event_bars: int = field(default=5, metadata={"help": "Bars that an event's position is held."})
    probe_stride: int = field(
        default=5, metadata={"help": "Bars between the days on which risk is forecast by the probe."}
    )
    audit_days: int = field(default=60, metadata={"help": "Days on which prompts are altered, drawn from the period."})
    mlp_steps: int = field(default=0, metadata={"help": "Steps that the MLP baseline trains by PPO; 0 leaves it out."})
    chat_url: str | None = field(
        default=None,
        metadata={"help": "An OpenAI-compatible endpoint whose model trades zero-shot; its key in OPENAI_API_KEY."},
    )
    chat_model: str | None = field(default=None, metadata={"help": "The name of that model there."})
