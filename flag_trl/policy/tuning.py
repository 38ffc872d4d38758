"""Which weights train: the top layers, low-rank adapters on them, or everything."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

METHODS = ("top_layers", "lora", "dora", "full")
# The families whose output head and layer layout the tests check against the plain forward pass.
FAMILIES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3")
SEEING = ("smolvlm", "idefics3")


@dataclass(frozen=True)
class Tuning:
    """What of the model is trained.

    Attributes
    ----------
    method : {"top_layers", "lora", "dora", "full"}
        ``top_layers`` trains the upper decoder layers themselves (the paper's partially fine-tuned model), ``lora``
        and ``dora`` train adapters on the same layers (Hu et al., 2021; Liu et al., 2024), ``full`` trains every
        weight.
    num_trainable_layers : int
        How many decoder layers, counted from the top, are trained; not used by ``full``.
    train_final_norm : bool
        With ``top_layers``: whether the norm above the last layer trains too.
    lora_rank, lora_alpha : int
        Rank and scale of the adapters (every linear map of a trained layer gets one).
    trunk_bits : {16, 8, 4}
        8 or 4 load the layers that do not train in that many bits, with bitsandbytes, on a GPU; 16 leaves them as they
        are.
    """

    method: Literal["top_layers", "lora", "dora", "full"] = "top_layers"
    num_trainable_layers: int = 6
    train_final_norm: bool = False
    lora_rank: int = 16
    lora_alpha: int = 32
    trunk_bits: Literal[16, 8, 4] = 16

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"tuning method {self.method!r} is unknown; choose one of {', '.join(METHODS)}")
        if self.trunk_bits not in (16, 8, 4):
            raise ValueError(f"trunk_bits is {self.trunk_bits}; choose 16 (as loaded), 8 or 4")
        if self.trunk_bits != 16 and self.method == "full":
            raise ValueError("trunk_bits 8 and 4 are for layers that do not train; with tuning full there are none")
        if self.method != "full" and self.num_trainable_layers < 1:
            raise ValueError(f"num_trainable_layers is {self.num_trainable_layers}; at least one layer must train")

    @property
    def has_adapters(self) -> bool:
        """Whether adapters train, and the model's own weights stay as they are."""
        return self.method in ("lora", "dora")

    def trunk_depth(self, layers: int) -> int:
        """How many of a model's `layers` lie below those that train."""
        return 0 if self.method == "full" else layers - self.num_trainable_layers

    def quantization(self, layers: int) -> BitsAndBytesConfig | None:
        """How to load the trunk of a model with so many `layers`; None where it is loaded as it is.

        Raises
        ------
        ValueError
            If there is no GPU, or bitsandbytes is not installed.
        """
        if self.trunk_bits == 16:
            return None
        if not torch.cuda.is_available() or find_spec("bitsandbytes") is None:
            raise ValueError(
                f"trunk_bits {self.trunk_bits} needs a GPU and `pip install bitsandbytes`; leave it at 16 here"
            )
        trained = range(self.trunk_depth(layers), layers)
        skipped = [f"model.{part}layers.{i}" for i in trained for part in ("", "text_model.")] + ["lm_head"]
        return BitsAndBytesConfig(
            load_in_8bit=self.trunk_bits == 8,
            load_in_4bit=self.trunk_bits == 4,
            llm_int8_skip_modules=skipped,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )


def base(model: Any) -> Any:
    """The model as transformers has it, adapters or not."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def decoder(model: Any) -> Any:
    """The stack of layers below the output head, adapters or not."""
    body = base(model).model
    return getattr(body, "text_model", body)


def apply_tuning(model: PreTrainedModel, tuning: Tuning) -> nn.Module:
    """Freeze and unfreeze the weights of `model` in place; wraps it with PEFT for adapters.

    Raises
    ------
    ValueError
        If the family is not one of `FAMILIES` or the model has too few layers.
    """
    family = model.config.model_type
    if family not in FAMILIES + SEEING:
        raise ValueError(f"model family {family!r} is not supported; supported are {', '.join(FAMILIES + SEEING)}")
    if tuning.method == "full":
        return model.requires_grad_(True)
    layers = decoder(model).layers
    count = len(layers)
    if tuning.num_trainable_layers > count:
        raise ValueError(f"num_trainable_layers is {tuning.num_trainable_layers}, but the model has {count} layers")
    top = range(count - tuning.num_trainable_layers, count)
    if tuning.has_adapters:
        linear = {name.split(".")[-1] for name, module in layers[-1].named_modules() if isinstance(module, nn.Linear)}
        # By their whole name: a vision tower has layers of the same number and names.
        numbers, names = ("|".join(map(str, part)) for part in (top, sorted(linear)))
        config = LoraConfig(
            r=tuning.lora_rank,
            lora_alpha=tuning.lora_alpha,
            use_dora=tuning.method == "dora",
            target_modules=rf"model\.(text_model\.)?layers\.({numbers})\..*\.({names})",
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, config)
    model.requires_grad_(False)
    for index in top:
        layers[index].requires_grad_(True)
    if tuning.train_final_norm:
        decoder(model).norm.requires_grad_(True)
    return model
