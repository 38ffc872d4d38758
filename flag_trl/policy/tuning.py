"""Which weights train: the top layers, low-rank adapters on them, or everything."""

from dataclasses import dataclass
from typing import Any, Literal

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

# The families whose output head and layer layout the tests check against the plain forward pass.
FAMILIES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3")


@dataclass(frozen=True)
class Tuning:
    """What of the model is trained.

    Attributes
    ----------
    method : {"top_layers", "lora", "full"}
        ``top_layers`` trains the upper decoder layers themselves (the paper's partially fine-tuned model), ``lora``
        trains adapters on the same layers, ``full`` trains every weight.
    num_trainable_layers : int
        How many decoder layers, counted from the top, are trained; not used by ``full``.
    train_final_norm : bool
        With ``top_layers``: whether the norm above the last layer trains too.
    lora_rank, lora_alpha : int
        Rank and scale of the adapters (every linear map of a trained layer gets one).
    """

    method: Literal["top_layers", "lora", "full"] = "top_layers"
    num_trainable_layers: int = 6
    train_final_norm: bool = False
    lora_rank: int = 16
    lora_alpha: int = 32

    def __post_init__(self) -> None:
        if self.method not in ("top_layers", "lora", "full"):
            raise ValueError(f"tuning method {self.method!r} is unknown; choose top_layers, lora or full")
        if self.method != "full" and self.num_trainable_layers < 1:
            raise ValueError(f"num_trainable_layers is {self.num_trainable_layers}; at least one layer must train")


def decoder(model: PreTrainedModel | PeftModel) -> nn.Module:
    """The stack of layers below the output head, adapters or not."""
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    return base.model


def apply_tuning(model: PreTrainedModel, tuning: Tuning) -> nn.Module:
    """Freeze and unfreeze the weights of `model` in place; wraps it with PEFT for ``lora``.

    Raises
    ------
    ValueError
        If the family is not one of `FAMILIES` or the model has too few layers.
    """
    family = model.config.model_type
    if family not in FAMILIES:
        raise ValueError(f"model family {family!r} is not supported; supported are {', '.join(FAMILIES)}")
    if tuning.method == "full":
        return model.requires_grad_(True)
    layers = model.model.layers
    count = len(layers)
    if tuning.num_trainable_layers > count:
        raise ValueError(f"num_trainable_layers is {tuning.num_trainable_layers}, but the model has {count} layers")
    top = range(count - tuning.num_trainable_layers, count)
    if tuning.method == "lora":
        linear = {name.split(".")[-1] for name, module in layers[-1].named_modules() if isinstance(module, nn.Linear)}
        config = LoraConfig(
            r=tuning.lora_rank,
            lora_alpha=tuning.lora_alpha,
            target_modules=sorted(linear),
            layers_to_transform=list(top),
            layers_pattern="layers",
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, config)
    model.requires_grad_(False)
    for index in top:
        layers[index].requires_grad_(True)
    if tuning.train_final_norm:
        model.model.norm.requires_grad_(True)
    return model
