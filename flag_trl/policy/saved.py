"""A trained policy in a folder: its weights alone, and what puts them back onto the base model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from flag_trl.policy.soft import SoftInput
from flag_trl.policy.tuning import Tuning

CONFIG_FILE = "policy.json"
WEIGHTS_FILE = "policy.safetensors"


@dataclass(frozen=True)
class SavedPolicy:
    """What a folder says of the policy in it; the fields are the constructor's of `LLMPolicy`."""

    base_model: str
    revision: str | None
    words: dict[str, str]
    tuning: Tuning
    value_head: bool
    soft: SoftInput | None

    @classmethod
    def read(cls, folder: Path) -> "SavedPolicy | None":
        """The description in a folder; None where it holds no saved policy."""
        file = folder / CONFIG_FILE
        if not file.is_file():
            return None
        saved = json.loads(file.read_text())
        odd = sorted(saved.keys() ^ {field.name for field in fields(cls)})
        if odd:
            raise ValueError(f"{file}: {', '.join(odd)} missing or unknown; save it anew with this version")
        soft = saved["soft"] and SoftInput(**saved["soft"])
        return cls(**{**saved, "tuning": Tuning(**saved["tuning"]), "soft": soft})

    def write(self, folder: Path, trained: Mapping[str, torch.Tensor]) -> None:
        """Write the description and the trained weights (safetensors); the folder is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in trained.items()}
        save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        (folder / CONFIG_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n")

    def check(
        self,
        folder: Path,
        words: Mapping[str, str] | None,
        tuning: Tuning | None,
        value_head: bool,
        soft: SoftInput | None,
    ) -> None:
        """Raise ValueError where something else is asked for than what the folder holds."""
        if words not in (None, self.words) or tuning not in (None, self.tuning):
            raise ValueError(
                f"{folder} holds a policy with words {self.words} and {self.tuning}, but {words} and {tuning} were "
                "asked for; leave them out to load it as it is, or name its base model"
            )
        if soft not in (None, self.soft):
            raise ValueError(f"{folder} holds a policy with soft tokens {self.soft}, but {soft} were asked for")
        if value_head and not self.value_head:
            raise ValueError(
                f"{folder} holds a policy that was trained without a value head; use another baseline than value, or "
                f"begin from its base model {self.base_model}"
            )


def read_weights(folder: Path, expected: set[str]) -> dict[str, torch.Tensor]:
    """The trained weights in a folder.

    Raises
    ------
    ValueError
        If the file's tensors are not exactly those `expected`.
    """
    file = folder / WEIGHTS_FILE
    state = load_file(file)
    if set(state) != expected:
        odd = sorted(set(state) ^ expected)
        raise ValueError(f"{file} does not fit this policy: {len(odd)} tensors differ, the first is {odd[0]}")
    return state
