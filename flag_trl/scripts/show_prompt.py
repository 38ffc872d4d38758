"""Print the whole prompt of one decision, as the model reads it.

flag-trl show-prompt --config recipes/quickstart.yaml --date 2020-10-14 --position long
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.text import Text

from flag_trl.accounts import POSITION_NAMES
from flag_trl.scripts.recipe import read_recipe

POSITIONS = {name: position for position, name in POSITION_NAMES.items()}
STYLES = {"market": "cyan", "account": "yellow"}


@dataclass
class PromptArguments:
    """Which decision."""

    date: str | None = field(default=None, metadata={"help": "Day of the decision; by default the last of the data."})
    position: str = field(default="flat", metadata={"help": "What the account holds.", "choices": list(POSITIONS)})


def main(argv: Sequence[str] | None = None) -> None:
    """Print the prompt of the first symbol of the recipe, the tokens of each part, and the policy's answer."""
    recipe = read_recipe(argv, PromptArguments)
    symbol, markets, rules = recipe.market.symbols[0], recipe.markets(), recipe.rules()
    if POSITIONS[recipe.extra.position] not in rules.scheme.positions:
        raise SystemExit(f"no account is {recipe.extra.position} under {rules.scheme.name}; choose another --position")
    market, agent = markets[symbol], recipe.agent()
    agent.observation = recipe.as_altered(agent.observation)
    date = recipe.extra.date or market.dates[-1]
    bar = market.index_range(date, date)[0]
    position = np.array([POSITIONS[recipe.extra.position]], dtype=np.int8)
    raw = {
        "symbol": np.array([sorted(markets).index(symbol)]),
        "bar": np.array([bar]),
        "position": position,
        "cash_share": 1.0 - position,
        "return_since_entry": np.zeros(1),
        "drawdown": np.zeros(1),
        "legal": rules.scheme.legal_actions(position),
    }
    observer = agent.observer(markets, rules.fill)
    (observation,) = observer.observe(raw)
    console = Console()
    parts = agent.prompts.parts(observation)
    for name, text, _ in parts:
        console.print(Text(text, style=STYLES.get(name, "dim")), end="", soft_wrap=True)
    counts = ", ".join(f"{name} {count}" for name, _, count in parts)
    console.print(f"\n{sum(count for *_, count in parts)} tokens: {counts}", style="bold", highlight=False)
    for part in observer.market_parts(int(raw["symbol"][0]), bar):
        left_out = f"; left out: {part.left_out}" if part.left_out else ""
        console.print(f"  {part.name} {agent.prompts.count_tokens(part.text)}{left_out}", highlight=False)
    decision = agent.decide([observation])
    answers = zip(agent.policy.actions.words, decision.probabilities[0], strict=True)
    console.print("untrained policy: " + ", ".join(f"{word} {p:.3f}" for word, p in answers), highlight=False)


if __name__ == "__main__":
    main()
