"""The demo's prompts on every day that it trades: at most eighty tokens, with the real tokenizer."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from flag_trl.accounts import AllIn
from flag_trl.observations import Observation, Observer
from flag_trl.prompts import PromptBuilder
from flag_trl.scripts.recipe import read_recipe

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"


@pytest.mark.real_model
def test_no_prompt_of_the_demo_is_longer_than_eighty_tokens(real_model: Path) -> None:
    recipe = read_recipe(["--config", str(QUICKSTART)])
    words = {name: name for name in AllIn.actions}
    prompts = PromptBuilder(AutoTokenizer.from_pretrained(real_model), words)
    markets = recipe.markets()
    train, _, tests = recipe.periods()
    market = markets["MSFT"]
    first, last = market.index_range(train.start, tests[-1].end)
    observer = Observer(markets, recipe.observation(), recipe.rules().fill)
    legal = {"Position: flat.": (False, True, True), "Position: long.": (True, True, False)}
    longest = max(
        len(prompts.build(Observation(observer.market_text(0, bar), account, allowed)).token_ids)
        for bar in range(first, last)
        for account, allowed in legal.items()
    )
    assert longest <= 80
