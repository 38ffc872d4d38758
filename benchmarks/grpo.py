"""What a user would pick instead: TRL's GRPOTrainer, paid by a function of the text that it generates."""

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from benchmarks.contenders import TRAINING, Clock, Run
from flag_trl import Agent, LLMPolicy, load_market
from flag_trl.data import period_window
from flag_trl.observations import ObservationConfig
from flag_trl.policy import Tuning
from flag_trl.scripts.demo import peak_megabytes

ANSWER_TOKENS = 8


def train(
    model: str, observation: ObservationConfig, rollouts: int, days: int, one_token: bool, layers: int, budget: float
) -> Run:
    """Time steps of GRPO on the prompts of the same market's first days, each with a flat account.

    Parameters
    ----------
    model : str
        Folder of the base model.
    observation : ObservationConfig
    rollouts, days : int
        Answers a prompt, and prompts a step.
    one_token : bool
        False: GRPO as it comes: all layers train, activations are recomputed, an answer has up to eight tokens, which
        are parsed. True: one token, held to the actions' own, and only the top `layers` train.
    layers : int
    budget : float
        Seconds for the steps.
    """
    from trl import GRPOConfig, GRPOTrainer

    tuning = Tuning(num_trainable_layers=layers) if one_token else Tuning("full")
    policy = LLMPolicy.from_pretrained(model, tuning=tuning)
    market = load_market("sample", "MSFT")
    prompts, earned = _days(Agent(policy, observation), market, days)
    words = policy.actions.words

    def reward(completions: Sequence[str], earned: Sequence[float], **kwargs: Any) -> list[float]:
        """Buying earns the next day's return; anything but an action's word costs."""
        said = [_parse(text, words) for text in completions]
        return [-0.01 if word is None else paid * (word == "buy") for word, paid in zip(said, earned, strict=True)]

    held = {"suppress_tokens": _all_but(policy)} if one_token else None
    clock = Clock(budget)
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            folder,
            use_cpu=True,
            bf16=False,
            max_steps=1000,
            num_generations=rollouts,
            per_device_train_batch_size=rollouts,
            gradient_accumulation_steps=days,
            max_completion_length=1 if one_token else ANSWER_TOKENS,
            gradient_checkpointing=not one_token,
            generation_kwargs=held,
            learning_rate=3e-5,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        data = Dataset.from_dict({"prompt": prompts, "earned": earned})
        trainer = GRPOTrainer(policy.model, reward, args, data, processing_class=policy.tokenizer, callbacks=[clock])
        trainer.train()
    return Run(clock.timed, transitions=rollouts * days, states=days, peak_mb=peak_megabytes())


def _days(agent: Agent, market: Any, days: int) -> tuple[list[str], list[float]]:
    """Prompts of a flat account on the first training days, and the returns that followed."""
    window = period_window("MSFT", market, TRAINING)
    observer = agent.observer({"MSFT": market}, "same_close")
    from flag_trl.accounts import AllIn

    seen = observer.every_state("MSFT", window.start, days, AllIn())
    flat = [observation for observation in seen if "flat" in observation.account_text]
    texts = [agent.policy.tokenizer.decode(agent.prompts.build(observation).token_ids) for observation in flat]
    closes = market.close[window.start : window.start + days + 1]
    return texts, (closes[1:] / closes[:-1] - 1).tolist()


def _parse(text: str, words: Sequence[str]) -> str | None:
    """The first action's word in an answer."""
    places = {word: text.lower().find(word) for word in words if word in text.lower()}
    return min(places, key=lambda word: places[word]) if places else None


def _all_but(policy: LLMPolicy) -> list[int]:
    """Every token that is not an action."""
    allowed = [ids[0] for ids in policy.actions.token_ids]
    return np.setdiff1d(np.arange(policy.config.vocab_size), allowed).tolist()
