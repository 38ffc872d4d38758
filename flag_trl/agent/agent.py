"""The agent: observations in, decisions out, the same step for training, evaluation, backtest and live trading."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from flag_trl.accounts import PositionScheme
from flag_trl.agent.decision import Decision, choose
from flag_trl.agent.folder import AGENT_FILE, agent_folder
from flag_trl.agent.table import PolicyTable
from flag_trl.observations import Markets, Observation, ObservationConfig, Observer
from flag_trl.policy import ActionTokens, ImageTokens, LLMPolicy, SoftInput, SoftTokens
from flag_trl.prompts import Prompt, PromptBuilder


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

    @property
    def segments(self) -> list[tuple[tuple[int, ...], ...]]:
        """Token segments of each distinct state, with numbers and images where their place is kept."""
        return [segments_of(prompt) for prompt in self.prompts]


class Agent:
    """A policy together with what it is shown.

    Parameters
    ----------
    policy : LLMPolicy
    observation : ObservationConfig
        What an observation holds.
    template : str, optional
        Prompt template; see `PromptBuilder`.

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
    ) -> None:
        self.policy = policy
        self.observation = observation
        shown = None if observation.soft_input is None else SoftInput(*observation.soft_input)
        if shown != policy.soft:
            raise ValueError(
                f"the observation has soft tokens {shown}, the policy {policy.soft}; build the policy with "
                "LLMPolicy(..., soft=SoftInput(*observation.soft_input)), or the observation with numbers text"
            )
        if observation.chart_bars and policy.vision is None:
            raise ValueError(
                f"the observation has a chart, and {policy.base_model or 'the model'} sees nothing; take a "
                "vision-language model such as SmolVLM, or leave chart_bars at 0"
            )
        self.prompts = self._builder(dict(zip(policy.actions.names, policy.actions.words, strict=True)), template)
        self.trained_on: dict[str, str] | None = None

    def _builder(self, words: Mapping[str, str], template: str | None) -> PromptBuilder:
        image = () if self.policy.vision is None else self.policy.vision.tokens
        places = self.observation.soft_tokens if self.policy.soft else 0
        return PromptBuilder(self.policy.tokenizer, words, template, places, image)

    def check_actions(self, scheme: PositionScheme) -> None:
        """Raise ValueError unless the policy's actions are those of `scheme`."""
        if self.policy.actions.names != scheme.actions:
            raise ValueError(
                f"the policy's actions are {list(self.policy.actions.names)}, those of the position scheme "
                f"{scheme.name!r} are {list(scheme.actions)}; build the policy with words for the latter"
            )

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """The observer that shows this agent what it was configured to see, with text budgets in its own tokens."""
        size = {} if self.policy.vision is None else {"image_size": self.policy.vision.size}
        return Observer(markets, self.observation, fill, self.prompts.count_tokens, **size)

    def encode(self, observations: Sequence[Observation]) -> States:
        """Tokenise observations and find the distinct ones; all count as distinct where the engine shares nothing."""
        if self.policy.engine.share == "none":
            return States([self.prompts.build(o) for o in observations], np.arange(len(observations)))
        number: dict[Observation, int] = {}
        index = [number.setdefault(o, len(number)) for o in observations]
        return States([self.prompts.build(o) for o in number], np.array(index, dtype=np.int64))

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Choose one action an account.

        Parameters
        ----------
        observations : sequence of Observation, length N
        uniforms : ndarray, shape (N,), optional
            Numbers in [0, 1) that draw the actions; without them the likeliest action is taken.
        """
        states = self.encode(observations)
        probabilities, values = self._evaluate(states)
        taken = probabilities[states.index]
        return Decision(choose(taken, uniforms), taken, None if values is None else values[states.index])

    def unmasked(
        self, observations: Sequence[Observation], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> np.ndarray:
        """Probabilities with no action masked, shape (N, A); the prompt says what is legal, as it does in trading."""
        states = self.encode(observations)
        everything = torch.ones(len(states.prompts), len(self.policy.actions.names), dtype=torch.bool)
        found = self.policy.evaluate(states.segments, everything, on_progress=on_progress)
        return found.log_probs.double().exp().numpy()[states.index]

    def hidden(
        self, observations: Sequence[Observation], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> np.ndarray:
        """The last layer's state where the answer begins, from which the policy decides; shape (N, hidden size)."""
        states = self.encode(observations)
        found = self.policy.evaluate(states.segments, states.legal, on_progress=on_progress)
        return found.hidden.double().numpy()[states.index]

    @contextmanager
    def asked(self, words: Mapping[str, str], template: str) -> Iterator[None]:
        """Within this context the model is asked another question, and `decide` chooses among other words.

        Parameters
        ----------
        words : mapping of str to str
            Name of each answer to the word for it; observations then need as many entries of `legal`.
        template : str
            See `PromptBuilder`.
        """
        before = self.policy.actions, self.prompts
        self.policy.actions = ActionTokens.from_tokenizer(self.policy.tokenizer, words)
        self.prompts = self._builder(words, template)
        try:
            yield
        finally:
            self.policy.actions, self.prompts = before

    def table(
        self, observations: Sequence[Observation], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> PolicyTable:
        """Evaluate observations in one go; what comes back decides wherever no others occur."""
        distinct = list(dict.fromkeys(observations))
        return PolicyTable(distinct, *self._evaluate(self.encode(distinct), on_progress))

    def precompute(
        self, observations: Sequence[Observation], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Cache the frozen trunk's states of observations; see `LLMPolicy.precompute`."""
        distinct = dict.fromkeys(observations)
        self.policy.precompute([segments_of(self.prompts.build(o)) for o in distinct], on_progress)

    def _evaluate(
        self, states: States, on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities, shape (U, A), and values, shape (U,), of distinct states; both float64."""
        found = self.policy.evaluate(states.segments, states.legal, on_progress=on_progress)
        if torch.isnan(found.log_probs).any():
            raise ValueError(
                "the policy's probabilities are not numbers: its weights or activations have overflowed. Lower "
                "learning_rate or max_grad_norm, or use another precision, and go on from an earlier checkpoint"
            )
        # The softmax is in single precision; renormalised in double so that draws see rows that sum to one.
        distinct = found.log_probs.double().exp()
        values = None if found.values is None else found.values.double().numpy()
        return (distinct / distinct.sum(-1, keepdim=True)).numpy(), values

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
    def from_pretrained(cls, name: str | Path, trained: bool = True, revision: str | None = None) -> "Agent":
        """Restore an agent saved by `save` or published on the Hub; see `agent_folder`.

        Parameters
        ----------
        name : str or Path
            A folder, or ``user/repository``.
        trained : bool
            Without it, the agent as it was before its training.
        revision : str, optional
            Branch, tag or commit on the Hub.
        """
        folder = agent_folder(name, revision)
        saved = json.loads((folder / AGENT_FILE).read_text())
        policy = LLMPolicy.from_pretrained(folder, trained=trained)
        agent = cls(policy, ObservationConfig(**saved["observation"]), saved["template"])
        agent.trained_on = saved["trained_on"]
        return agent


def segments_of(prompt: Prompt) -> tuple[tuple[int, ...], ...]:
    """A prompt's segments as the policy takes them: with its numbers and its image where their place is kept."""
    segments = list(prompt.segments)
    if prompt.numbers is not None:
        segments[-2] = SoftTokens(segments[-2], prompt.numbers.values)
    if prompt.image is not None:
        segments[1] = ImageTokens(segments[1], prompt.image.png)
    return tuple(segments)
