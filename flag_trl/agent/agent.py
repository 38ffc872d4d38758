"""The agent: observations in, decisions out, the same step for training, evaluation, backtest and live trading."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from flag_trl.accounts import PositionScheme
from flag_trl.agent.decision import Decision, choose
from flag_trl.observations import Markets, Observation, ObservationConfig, Observer
from flag_trl.policy import LLMPolicy
from flag_trl.prompts import Prompt, PromptBuilder

AGENT_FILE = "agent.json"


@dataclass(frozen=True)
class States:
    """N observations as their U distinct states, so that equal states are evaluated once.

    Attributes
    ----------
    prompts : list of Prompt, length U
    index : ndarray of int64, shape (N,)
        The state of each observation.
    """

    prompts: list[Prompt]
    index: np.ndarray

    @property
    def legal(self) -> torch.Tensor:
        """Legal actions of each distinct state; bool, shape (U, A)."""
        return torch.tensor([prompt.legal for prompt in self.prompts])


class Agent:
    """A policy together with what it is shown.

    Parameters
    ----------
    policy : LLMPolicy
    observation : ObservationConfig
        What an observation holds.
    template : str, optional
        Prompt template; see `PromptBuilder`.
    batch_size : int
        States a forward pass.

    Attributes
    ----------
    trained_on : dict of str to str, optional
        Symbols, first and last day, position scheme and fill of the training; saved with the agent, so that a test on
        days or rules that it should not be tested on is noticed.
    """

    def __init__(
        self,
        policy: LLMPolicy,
        observation: ObservationConfig = ObservationConfig(),
        template: str | None = None,
        batch_size: int = 16,
    ) -> None:
        self.policy = policy
        self.observation = observation
        words = dict(zip(policy.actions.names, policy.actions.words, strict=True))
        self.prompts = PromptBuilder(policy.tokenizer, words, template)
        self.batch_size = batch_size
        self.trained_on: dict[str, str] | None = None

    def check_actions(self, scheme: PositionScheme) -> None:
        """Raise ValueError unless the policy's actions are those of `scheme`."""
        if self.policy.actions.names != scheme.actions:
            raise ValueError(
                f"the policy's actions are {list(self.policy.actions.names)}, those of the position scheme "
                f"{scheme.name!r} are {list(scheme.actions)}; build the policy with words for the latter"
            )

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """The observer that shows this agent what it was configured to see, with text budgets in its own tokens."""
        return Observer(markets, self.observation, fill, self.prompts.count_tokens)

    def encode(self, observations: Sequence[Observation]) -> States:
        """Tokenise observations and find the distinct ones."""
        number: dict[Prompt, int] = {}
        index = [number.setdefault(self.prompts.build(o), len(number)) for o in observations]
        return States(list(number), np.array(index, dtype=np.int64))

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Choose one action an account.

        Parameters
        ----------
        observations : sequence of Observation, length N
        uniforms : ndarray, shape (N,), optional
            Numbers in [0, 1) that draw the actions; without them the likeliest action is taken.
        """
        states = self.encode(observations)
        log_probs = self.policy.log_probs([p.token_ids for p in states.prompts], states.legal, self.batch_size)
        if torch.isnan(log_probs).any():
            raise ValueError(
                "the policy's probabilities are not numbers: its weights or activations have overflowed. Lower "
                "learning_rate or max_grad_norm, or use another precision, and go on from an earlier checkpoint"
            )
        # The softmax is in single precision; renormalised in double so that draws see rows that sum to one.
        distinct = log_probs.double().exp()
        probabilities = (distinct / distinct.sum(-1, keepdim=True)).numpy()[states.index]
        return Decision(choose(probabilities, uniforms), probabilities)

    def save(self, folder: str | Path) -> None:
        """Write the policy's trained weights and what the agent is shown; `from_pretrained` restores both."""
        self.policy.save_pretrained(folder)
        self.save_config(folder)

    def save_config(self, folder: str | Path) -> None:
        """Write what the agent is shown, without the weights."""
        shown = {"observation": asdict(self.observation), "template": self.prompts.template}
        config = {**shown, "trained_on": self.trained_on}
        (Path(folder) / AGENT_FILE).write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path, batch_size: int = 16) -> "Agent":
        """Restore an agent saved by `save`.

        Raises
        ------
        FileNotFoundError
            If the folder holds no saved agent.
        """
        file = Path(folder) / AGENT_FILE
        if not file.is_file():
            raise FileNotFoundError(f"{folder} holds no trained agent: there is no {AGENT_FILE} in it")
        saved = json.loads(file.read_text())
        policy = LLMPolicy.from_pretrained(folder)
        agent = cls(policy, ObservationConfig(**saved["observation"]), saved["template"], batch_size)
        agent.trained_on = saved["trained_on"]
        return agent
