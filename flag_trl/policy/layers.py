"""The decoder's layers over packed trees: the frozen trunk, and the top that trains.

The layers are transformers' own modules, with adapters where there are any; only what surrounds them is done here.
"""

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import torch

Tensors = Mapping[str, torch.Tensor]


class TreePass:
    """Runs layers of a decoder over one batch of a `PromptTree`.

    Parameters
    ----------
    decoder : nn.Module
        Embedding, layers, final norm and rotary embedding of a supported family.
    tensors : mapping
        As in `TreeBatch`, on the decoder's device.
    """

    def __init__(self, decoder: Any, tensors: Tensors) -> None:
        self._decoder = decoder
        self._config = decoder.config
        self._positions = tensors["positions"]
        self._queries = tensors["queries"]
        self._input_ids = tensors["input_ids"]
        self._image_places = tensors.get("image_places")
        self._allowed = _attends(tensors["paths"], self._positions)
        self._masks: dict[str, torch.Tensor] = {}
        self._rotary: dict[str, Any] = {}

    def trunk(self, depth: int, features: torch.Tensor | None = None) -> torch.Tensor:
        """Hidden states above the embedding and the lowest `depth` layers, shape (B, L, hidden size).

        `features`, shape (images x tokens, hidden size), stand in place of the image tokens' embeddings.
        """
        hidden = self._decoder.embed_tokens(self._input_ids)
        if features is not None:
            flat = hidden.flatten(0, 1)
            hidden = flat.index_copy(0, self._image_places, features.to(flat.dtype)).view_as(hidden)
        for index in range(depth):
            hidden = self._layer(index, hidden)
        return hidden

    def top(self, depth: int, hidden: torch.Tensor) -> torch.Tensor:
        """What the output head sees at the queries, shape (B x Q, hidden size), given the states above `depth` layers.

        The last layer needs keys and values of all tokens, and everything else of the queried ones alone.
        """
        last = len(self._decoder.layers) - 1
        for index in range(depth, last):
            hidden = self._layer(index, hidden)
        rows = torch.arange(len(hidden), device=hidden.device)[:, None]
        if depth <= last:
            layer, kind = self._decoder.layers[last], self._kind(last)
            queried = layer(
                hidden[rows, self._queries],
                attention_mask=self._mask(kind, hidden.dtype)[rows, :, self._queries].transpose(1, 2),
                position_embeddings=self._rotate(kind, hidden, self._positions[rows, self._queries]),
                position_ids=self._positions[rows, self._queries],
                past_key_values=_Given(*self._keys_and_values(last, hidden)),
            )
        else:
            queried = hidden[rows, self._queries]
        return self._decoder.norm(queried).flatten(0, 1)

    def _layer(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        kind = self._kind(index)
        return self._decoder.layers[index](
            hidden,
            attention_mask=self._mask(kind, hidden.dtype),
            position_embeddings=self._everywhere(kind, hidden),
            position_ids=self._positions,
        )

    def _keys_and_values(self, index: int, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of every token as the layer's attention makes them, (B, key heads, L, head size)."""
        layer = self._decoder.layers[index]
        attention = layer.self_attn
        normed = layer.input_layernorm(hidden)
        shape = (*hidden.shape[:2], -1, attention.head_dim)
        keys = attention.k_proj(normed).view(shape).transpose(1, 2)
        values = attention.v_proj(normed).view(shape).transpose(1, 2)
        if hasattr(attention, "k_norm"):
            keys = attention.k_norm(keys)
        if getattr(attention, "use_rope", True):
            rotate = sys.modules[type(attention).__module__].apply_rotary_pos_emb
            keys = rotate(keys, keys, *self._everywhere(self._kind(index), hidden))[1]
        return keys, values

    def _kind(self, index: int) -> str:
        kinds = getattr(self._config, "layer_types", None)
        return str(kinds[index]) if kinds else "full_attention"

    def _mask(self, kind: str, dtype: torch.dtype) -> torch.Tensor:
        """Shape (B, 1, L, L); true or zero where a token may attend."""
        if kind not in self._masks:
            allowed = self._allowed
            if kind == "sliding_attention":
                distance = self._positions[:, :, None] - self._positions[:, None, :]
                allowed = allowed & (distance < self._config.sliding_window)
            mask = allowed[:, None]
            if self._config._attn_implementation != "sdpa":
                mask = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
            self._masks[kind] = mask
        return self._masks[kind]

    def _everywhere(self, kind: str, hidden: torch.Tensor) -> Any:
        if kind not in self._rotary:
            self._rotary[kind] = self._rotate(kind, hidden, self._positions)
        return self._rotary[kind]

    def _rotate(self, kind: str, hidden: torch.Tensor, positions: torch.Tensor) -> Any:
        """Cosine and sine of the positions; Gemma 3 has one pair for each kind of layer."""
        rotary = self._decoder.rotary_emb
        by_kind = "layer_type" in inspect.signature(rotary.forward).parameters
        return rotary(hidden, positions, kind) if by_kind else rotary(hidden, positions)


class _Given:
    """Stands where a layer expects its key/value cache and answers with the keys and values that it was given."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._given = keys, values

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The given ones; those of the queried tokens are among them."""
        return self._given


def _attends(paths: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Which token attends to which: to those not after it, of its own segment and of those above; (B, L, L)."""
    allowed = positions[:, :, None] >= positions[:, None, :]
    for level in paths.unbind(-1):
        allowed &= (level[:, None, :] == 0) | (level[:, None, :] == level[:, :, None])
    return allowed
