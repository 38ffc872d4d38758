"""What the untrained model already knows: logistic probes on its hidden states."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import DynamicCache, PreTrainedModel

STRENGTHS = tuple(10.0**k for k in range(-6, 1))
FOLDS = 8


def hidden_states(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    layers: Sequence[int],
    file: Path | None = None,
    batch_size: int = 32,
    on_batch: Callable[[int], None] = lambda done: None,
) -> dict[int, np.ndarray]:
    """Last-token hidden states of the plain model.

    Parameters
    ----------
    model : PreTrainedModel
        The causal language model as it came, evaluated in inference mode.
    prompts : sequence of token-id sequences, length N
    layers : sequence of int
        0 is the embedding, L the last layer behind the final norm, as in transformers' ``output_hidden_states``.
    file : Path, optional
        Where they are kept (safetensors); read instead of computed if it is there.
    batch_size : int
        Prompts a forward pass.
    on_batch : callable
        Called with the number of prompts finished so far.

    Returns
    -------
    dict of int to ndarray of float32, shape (N, hidden size)
    """
    if file is not None and file.is_file():
        saved = {int(name): values for name, values in load_file(file).items()}
        if set(saved) == set(layers) and all(len(values) == len(prompts) for values in saved.values()):
            return saved
    shared = _common_length(prompts)
    head = torch.tensor([list(prompts[0][:shared])])
    out: dict[int, np.ndarray] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    decoder: Any = model.model
    with torch.inference_mode():
        prefix = decoder(head, use_cache=True, past_key_values=DynamicCache()).past_key_values
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tails = [torch.tensor(prompts[i][shared:]) for i in rows]
            # Padded on the right: under causal attention no token sees the padding behind it.
            ids = torch.nn.utils.rnn.pad_sequence(tails, batch_first=True)
            states = decoder(ids, past_key_values=_copies(prefix, len(rows)), output_hidden_states=True).hidden_states
            last = torch.tensor([len(tail) - 1 for tail in tails])
            for layer in layers:
                values = states[layer][torch.arange(len(rows)), last].float().numpy()
                out.setdefault(layer, np.empty((len(prompts), values.shape[1]), np.float32))[rows] = values
            on_batch(start + len(rows))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        save_file({str(layer): values for layer, values in out.items()}, partial)
        partial.replace(file)
    return out


def fit_probe(
    features: Mapping[int, np.ndarray], labels: np.ndarray, wordings: np.ndarray
) -> tuple[int, Callable[[Mapping[int, np.ndarray]], np.ndarray], dict[str, float]]:
    """Fit a standardised logistic regression, its layer and strength chosen by cross-validation.

    Folds keep the days of a wording together, so what is chosen is what carries over to wordings not fitted; folds
    that split a wording's days would choose what memorises them.

    Parameters
    ----------
    features : mapping of int to ndarray, shape (n, hidden size)
        Hidden states by layer.
    labels : ndarray of bool, shape (n,)
    wordings : ndarray of int, shape (n,)
        The sentence of each day.

    Returns
    -------
    layer : int
    predict : callable
        From features like those given to positions, 1 or -1, shape (m,).
    chosen : dict of str to float
        ``strength`` (scikit-learn's C) and ``score`` (accuracy over the folds).
    """
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    best: tuple[float, int, float] | None = None
    for layer, values in features.items():
        for strength in STRENGTHS:
            score = cross_val_score(
                _probe(strength), values, labels, groups=wordings, cv=folds, scoring="neg_log_loss"
            ).mean()
            if best is None or score > best[0]:
                best = (score, layer, strength)
    assert best is not None
    score, layer, strength = best
    fitted = _probe(strength).fit(features[layer], labels)

    def predict(new: Mapping[int, np.ndarray]) -> np.ndarray:
        return np.where(fitted.predict(new[layer]), 1, -1)

    return layer, predict, {"layer": layer, "strength": strength, "log_loss": float(-score)}


def _probe(strength: float) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))


def _common_length(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens at the beginning that all prompts share, at least one fewer than the shortest has."""
    first, last = min(prompts), max(prompts)
    limit = min(len(prompt) for prompt in prompts) - 1
    differing = (i for i in range(limit) if first[i] != last[i])
    return max(1, next(differing, limit))


def _copies(prefix: DynamicCache, count: int) -> DynamicCache:
    """The keys and values of the shared beginning, once for each prompt of a batch."""
    copies = DynamicCache()
    for number, layer in enumerate(prefix.layers):
        copies.update(layer.keys.expand(count, -1, -1, -1), layer.values.expand(count, -1, -1, -1), number)
    return copies
