"""Log-probabilities of the untouched model, computed once a state."""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from flag_trl.agent import States
from flag_trl.policy import LLMPolicy
from flag_trl.prompts import Prompt

FILE = "reference.safetensors"
Rows = dict[bytes, np.ndarray]


class ReferenceLogProbs:
    """Remembers the untouched model's answer to each state that training met.

    It is saved with a checkpoint: the batch in which a state is evaluated changes its last digits, so a resumed run
    that evaluated anew would not repeat the run that it continues.

    Attributes
    ----------
    over_processes : callable
        What every process says, in their order; of one process, a list of what it says. A window comes round on
        another process each time, so what one evaluated is told to all.
    """

    def __init__(self, policy: LLMPolicy) -> None:
        self._policy = policy
        self._rows: dict[bytes, np.ndarray] = {}
        self.over_processes: Callable[[Rows], list[Rows]] = lambda rows: [rows]

    def __call__(self, states: States) -> np.ndarray:
        """Log-probabilities of U states, float32 of shape (U, A); all processes ask at the same time."""
        keys = [_key(prompt) for prompt in states.prompts]
        new = [i for i, key in enumerate(keys) if key not in self._rows]
        found: Rows = {}
        if new:
            segments = states.segments
            prompts = [segments[i] for i in new]
            rows = self._policy.evaluate(prompts, states.legal[new], reference=True).log_probs.numpy()
            found = dict(zip((keys[i] for i in new), rows, strict=True))
        for told in self.over_processes(found):
            self._rows.update(told)
        return np.stack([self._rows[key] for key in keys])

    def save(self, folder: str | Path) -> None:
        """Write what is remembered into a checkpoint folder."""
        if self._rows:
            keys = np.frombuffer(b"".join(self._rows), dtype=np.uint8).reshape(len(self._rows), -1)
            save_file({"keys": keys, "log_probs": np.stack(list(self._rows.values()))}, Path(folder) / FILE)

    def load(self, folder: str | Path) -> None:
        """Read what a checkpoint remembered; nothing where it holds none."""
        file = Path(folder) / FILE
        if file.is_file():
            saved = load_file(file)
            self._rows = {key.tobytes(): row for key, row in zip(saved["keys"], saved["log_probs"], strict=True)}


def _key(prompt: Prompt) -> bytes:
    """A digest of a state's tokens, legal actions, numbers and image."""
    content = np.array([len(prompt.legal), *prompt.legal, *prompt.token_ids], dtype=np.int64)
    numbers = b"" if prompt.numbers is None else prompt.numbers.values.tobytes()
    image = b"" if prompt.image is None else prompt.image.png
    return blake2b(content.tobytes() + numbers + image, digest_size=16).digest()
