"""A trained policy in a folder: its weights alone, and what puts them back onto the base model.

Adapters are written as PEFT writes them, so that PEFT alone can load them too; all other trained weights, of layers,
value head and number encoder, stand in a file of their own.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, save_file
from torch import nn

from flag_trl.policy.soft import SoftInput
from flag_trl.policy.tuning import Tuning

logger = logging.getLogger(__name__)

CONFIG_FILE = "policy.json"
WEIGHTS_FILE = "policy.safetensors"
ADAPTER_FILES = (CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME)
POLICY_FILES = (CONFIG_FILE, WEIGHTS_FILE, *ADAPTER_FILES)
"""All that a saved policy may consist of; which of them there are depends on what trains."""
WRAPPED = "model."
"""Where a policy keeps its model, adapters included."""


@dataclass(frozen=True)
class SavedPolicy:
    """What a folder says of the policy in it; the fields are the constructor's of `LLMPolicy`."""

    base_model: str
    revision: str | None
    words: dict[str, str]
    tuning: Tuning
    value_head: bool
    soft: SoftInput | None
    base_digest: str | None = None
    """Of the weights that do not train, which the trained ones belong to; None where all train."""

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

    def write(self, folder: Path) -> None:
        """Write the description; the folder is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / CONFIG_FILE, lambda partial: partial.write_text(json.dumps(asdict(self), indent=2) + "\n"))

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


def write_weights(policy: Any, folder: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Write the trained weights of a policy, taken from `state`, as safetensors.

    Parameters
    ----------
    policy : LLMPolicy
    folder : Path
        Made if it is not there.
    state : mapping of str to Tensor
        By the names of the policy's parameters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = [name for name in policy.trainable_names if not _is_adapter(name)]
    if own:
        _save(folder / WEIGHTS_FILE, {name: state[name] for name in own})
    if policy.tuning.has_adapters:
        wrapped = {name.removeprefix(WRAPPED): tensor for name, tensor in state.items() if name.startswith(WRAPPED)}
        _save(folder / SAFETENSORS_WEIGHTS_NAME, get_peft_model_state_dict(policy.model, wrapped))
        config = policy.model.peft_config["default"]
        described = replace(config, base_model_name_or_path=policy.base_model, revision=policy.revision)
        described.inference_mode = True
        described.save_pretrained(str(folder))
    # What another tuning wrote here would be taken for this one's.
    for name, written in ((WEIGHTS_FILE, own), *((name, policy.tuning.has_adapters) for name in ADAPTER_FILES)):
        if not written:
            (folder / name).unlink(missing_ok=True)


def load_weights(policy: Any, folder: Path) -> None:
    """Put the trained weights in a folder into a policy.

    Raises
    ------
    ValueError
        If a file's tensors are not exactly those that the policy trains.
    """
    own = {name for name in policy.trainable_names if not _is_adapter(name)}
    if own:
        policy.load_state_dict(_read(folder / WEIGHTS_FILE, own), strict=False)
    if policy.tuning.has_adapters:
        expected = set(get_peft_model_state_dict(policy.model))
        set_peft_model_state_dict(policy.model, _read(folder / SAFETENSORS_WEIGHTS_NAME, expected))


def digest_of_frozen(module: nn.Module) -> str | None:
    """Of the weights that do not train, with their type; None where there are none."""
    frozen = sorted((name, p) for name, p in module.named_parameters() if not p.requires_grad)
    if not frozen:
        return None
    found = blake2b(digest_size=16)
    for name, parameter in frozen:
        found.update(name.encode())
        found.update(parameter.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes())
    return f"{frozen[0][1].dtype}:{found.hexdigest()}"


def check_base(saved: SavedPolicy, found: str | None, folder: Path) -> None:
    """Raise ValueError where trained weights would be put onto another base model than that which they belong to.

    Weights that were loaded in another type cannot be compared, which is told.
    """
    if saved.base_digest is None or found is None:
        return
    if saved.base_digest.split(":")[0] != found.split(":")[0]:
        logger.warning(
            "%s: whether %s is the base model it belongs to was not checked: it is loaded in another type",
            folder,
            saved.base_model,
        )
        return
    if saved.base_digest != found:
        raise ValueError(
            f"{folder} was trained on other weights of {saved.base_model} than those that are there now; restore the "
            "base model, or name the right one under base_model in policy.json"
        )


def _is_adapter(name: str) -> bool:
    return name.startswith(WRAPPED) and "lora_" in name


def _save(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _replace(file, lambda partial: save_file(kept, partial, metadata={"format": "pt"}))


def _replace(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    write(partial)
    os.replace(partial, file)


def _read(file: Path, expected: set[str]) -> dict[str, torch.Tensor]:
    state = load_file(file)
    if set(state) != expected:
        odd = sorted(set(state) ^ expected)
        raise ValueError(f"{file} does not fit this policy: {len(odd)} tensors differ, the first is {odd[0]}")
    return state
