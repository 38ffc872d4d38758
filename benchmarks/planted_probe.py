"""What the untrained model already knows: logistic probes on its hidden states."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from flag_trl.policy import LLMPolicy
from flag_trl.policy.layers import TreePass
from flag_trl.policy.tree import Segments
from flag_trl.policy.tuning import decoder

STRENGTHS = tuple(10.0**k for k in range(-6, 1))
FOLDS = 8


def hidden_states(policy: LLMPolicy, prompts: Sequence[Segments]) -> dict[int, np.ndarray]:
    """Last-token hidden states of an untrained policy at both ends of its trained layers.

    Parameters
    ----------
    policy : LLMPolicy
        With its cache open, so that what training and test need too is computed once.
    prompts : sequence of segment sequences, length N

    Returns
    -------
    dict of int to ndarray of float32, shape (N, hidden size)
        By layer: above the frozen trunk, and above the last layer behind the final norm.
    """
    depth, last = policy.trunk_depth, policy.config.num_hidden_layers
    out = {layer: np.empty((len(prompts), policy.config.hidden_size), np.float32) for layer in (depth, last)}
    legal = torch.ones(len(prompts), len(policy.actions.names), dtype=torch.bool)
    with torch.inference_mode():
        for rows, batch in policy.batches(prompts, legal):
            layers, answers = TreePass(decoder(policy.model), batch), batch["answers"][:, 0]
            hidden = batch["hidden"]
            queried = hidden[torch.arange(len(hidden))[:, None], batch["queries"]].flatten(0, 1)
            out[depth][rows] = queried[answers].numpy()
            out[last][rows] = layers.top(depth, hidden)[answers].numpy()
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
