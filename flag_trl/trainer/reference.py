"""Log-probabilities of the untouched model, computed once a state."""

from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from flag_trl.agent import States
from flag_trl.policy import LLMPolicy
from flag_trl.prompts import Prompt

FILE = "reference-{process}.safetensors"


class ReferenceLogProbs:
    """Remembers the untouched model's answer to each state that training met.

    It is saved with a checkpoint: the batch in which a state is evaluated changes its last digits, so a resumed run
    that evaluated anew would not repeat the run that it continues.
    """

    def __init__(self, policy: LLMPolicy) -> None:
        self._policy = policy
        self._rows: dict[bytes, np.ndarray] = {}

    def __call__(self, states: States) -> np.ndarray:
        """Log-probabilities of U states, float32 of shape (U, A)."""
        keys = [_key(prompt) for prompt in states.prompts]
        new = [i for i, key in enumerate(keys) if key not in self._rows]
        if new:
            segments = states.segments
            prompts = [segments[i] for i in new]
            rows = self._policy.evaluate(prompts, states.legal[new], reference=True).log_probs.numpy()
            self._rows.update(zip((keys[i] for i in new), rows, strict=True))
        return np.stack([self._rows[key] for key in keys])

    def save(self, folder: str | Path, process: int) -> None:
        """Write what this process remembers into a checkpoint folder."""
        if self._rows:
            keys = np.frombuffer(b"".join(self._rows), dtype=np.uint8).reshape(len(self._rows), -1)
            rows = {"keys": keys, "log_probs": np.stack(list(self._rows.values()))}
            save_file(rows, Path(folder) / FILE.format(process=process))

    def load(self, folder: str | Path, process: int, processes: int) -> None:
        """Read what this process remembered, or, on another number of `processes`, what all of them did.

        They differ in the last digits, so that a process goes on as it was with its own alone.
        """
        files = sorted(Path(folder).glob(FILE.format(process="*")))
        if len(files) == processes:
            files = [Path(folder) / FILE.format(process=process)]
        self._rows = {}
        for saved in map(load_file, files):
            rows = zip(saved["keys"], saved["log_probs"], strict=True)
            self._rows.update((key.tobytes(), row) for key, row in rows)


def _key(prompt: Prompt) -> bytes:
    """A digest of a state's tokens, legal actions, numbers and image."""
    content = np.array([len(prompt.legal), *prompt.legal, *prompt.token_ids], dtype=np.int64)
    numbers = b"" if prompt.numbers is None else prompt.numbers.values.tobytes()
    image = b"" if prompt.image is None else prompt.image.png
    return blake2b(content.tobytes() + numbers + image, digest_size=16).digest()
