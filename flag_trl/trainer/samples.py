"""What a loss is computed from: decisions, the distinct states in which they were taken, and what they were worth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from flag_trl.agent import States
from flag_trl.observations import Chart, Numbers
from flag_trl.policy import LLMPolicy
from flag_trl.prompts import Prompt


@dataclass(frozen=True)
class Samples:
    """S samples over U distinct states.

    Attributes
    ----------
    states : States
        The distinct states and, by ``states.index`` of shape (S,), which of them each sample belongs to.
    values : dict of str to ndarray
        What the loss needs of each sample; every first dimension is S.
    reference : ndarray of float32, shape (U, A), or None
        The untouched model's log-probabilities; None where there is no KL penalty.
    denominator : float
        N T: rollouts times steps. Fixed, so that parts of a batch add up to the whole.
    """

    states: States
    values: dict[str, np.ndarray]
    reference: np.ndarray | None
    denominator: float

    def minibatch(self, number: int, count: int, key: tuple[int, ...]) -> "Samples":
        """The `number`-th of `count` parts, split at random by what a day's prompts share, so that sharing goes on.

        The mean of the parts' losses is the loss of the whole.
        """
        if count == 1:
            return self
        days: dict[Any, list[int]] = {}
        for row, prompt in enumerate(self.states.prompts):
            days.setdefault((prompt.segments[:-1] or prompt.segments, prompt.numbers, prompt.image), []).append(row)
        order = np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).permutation(len(days))
        groups = list(days.values())
        if len(groups) < count:
            raise ValueError(
                f"num_mini_batches is {count}, but a rollout of these windows has {len(groups)} distinct days to "
                "deal: lower it, or raise episode_length or per_device_train_batch_size"
            )
        rows = sorted(row for day in order[number::count] for row in groups[day])
        place = np.full(len(self.states.prompts), -1)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.states.index] >= 0)
        return Samples(
            States([self.states.prompts[row] for row in rows], place[self.states.index[kept]]),
            {name: values[kept] for name, values in self.values.items()},
            None if self.reference is None else self.reference[rows],
            self.denominator / count,
        )

    def passes(self, policy: LLMPolicy) -> list[int]:
        """Tokens of each of the `chunks`."""
        return policy.passes(self.states.segments)

    def chunks(self, policy: LLMPolicy, fill: bool = True) -> Iterator[dict[str, Any]]:
        """Inputs of the loss, a forward pass each, made as they are asked for; `fill` as in `LLMPolicy.batches`.

        The losses of the chunks add up to that of the whole: every sample belongs to one state, and all share the
        denominator.
        """
        for rows, batch in policy.batches(self.states.segments, self.states.legal, fill):
            place = np.full(len(self.states.prompts), -1)
            place[rows] = np.arange(len(rows))
            kept = np.flatnonzero(place[self.states.index] >= 0)
            chunk = {
                "batch": batch,
                "state": torch.from_numpy(place[self.states.index[kept]]),
                "samples": {name: torch.from_numpy(values[kept]) for name, values in self.values.items()},
                "denominator": torch.tensor(self.denominator),
            }
            if self.reference is not None:
                chunk["reference"] = torch.from_numpy(self.reference[rows])
            yield chunk

    def save(self, file: Path, left: bool = False) -> None:
        """Write everything as safetensors, and whether the policy has left these samples behind."""
        pieces = [segment for prompt in self.states.prompts for segment in prompt.segments]
        arrays = {
            "tokens": np.array([token for segment in pieces for token in segment], dtype=np.int64),
            "segment_lengths": np.array([len(segment) for segment in pieces], dtype=np.int64),
            "segments": np.array([len(prompt.segments) for prompt in self.states.prompts], dtype=np.int64),
            "legal": np.array([prompt.legal for prompt in self.states.prompts]),
            "index": self.states.index,
            "denominator": np.array([self.denominator]),
            "left": np.array([left]),
            **{f"values/{name}": np.ascontiguousarray(values) for name, values in self.values.items()},
        }
        numbers = [prompt.numbers.values for prompt in self.states.prompts if prompt.numbers is not None]
        if numbers:
            arrays["numbers"] = np.stack(numbers)
        images = [np.frombuffer(p.image.png, dtype=np.uint8) for p in self.states.prompts if p.image is not None]
        if images:
            arrays["images"] = np.concatenate(images)
            arrays["image_lengths"] = np.array([len(image) for image in images], dtype=np.int64)
        if self.reference is not None:
            arrays["reference"] = self.reference
        save_file(arrays, file)

    @classmethod
    def load(cls, file: Path) -> tuple["Samples", bool]:
        """Read what `save` wrote: the samples, and whether the policy has left them behind."""
        arrays = load_file(file)
        tokens = arrays["tokens"].tolist()
        ends = np.cumsum(arrays["segment_lengths"])
        pieces = [
            tuple(tokens[end - n : end]) for n, end in zip(arrays["segment_lengths"].tolist(), ends, strict=True)
        ]
        last = np.cumsum(arrays["segments"])
        numbers = [Numbers(values) for values in arrays["numbers"]] if "numbers" in arrays else [None] * len(last)
        images: list[Chart | None] = [None] * len(last)
        if "images" in arrays:
            cuts = np.cumsum(arrays["image_lengths"])[:-1]
            images = [Chart(png.tobytes()) for png in np.split(arrays["images"], cuts)]
        prompts = [
            Prompt(tuple(pieces[end - n : end]), tuple(legal), own, image)
            for n, end, legal, own, image in zip(
                arrays["segments"].tolist(), last, arrays["legal"].tolist(), numbers, images, strict=True
            )
        ]
        values = {name.removeprefix("values/"): a for name, a in arrays.items() if name.startswith("values/")}
        denominator = float(arrays["denominator"][0])
        samples = cls(States(prompts, arrays["index"]), values, arrays.get("reference"), denominator)
        return samples, bool(arrays["left"][0])


def padded(samples: Samples, policy: LLMPolicy, count: int, fill: bool = True) -> Iterator[dict[str, Any]]:
    """`count` chunks: those there are, then passes over one state without samples, whose gradient is zero."""
    for chunk in samples.chunks(policy, fill):
        yield chunk
        count -= 1
    if count:
        one = States(samples.states.prompts[:1], samples.states.index[:0])
        reference = None if samples.reference is None else samples.reference[:1]
        nothing = Samples(one, {name: v[:0] for name, v in samples.values.items()}, reference, samples.denominator)
        (chunk,) = nothing.chunks(policy, fill)
        for _ in range(count):
            yield {**chunk, "batch": dict(chunk["batch"])}
