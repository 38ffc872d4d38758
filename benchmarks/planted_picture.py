"""The planted-signal benchmark in one picture."""

from pathlib import Path
from typing import Any

import numpy as np

LABELS = {
    "share_known": "policy,\nknown wordings",
    "share_unseen": "policy,\nunseen wordings",
    "share_probe": "probe,\nsame days' returns",
    "share_ceiling": "probe,\ntrue labels",
    "share_shuffled": "policy,\nnews shuffled",
}
COLOURS = ("#1b6ca8", "#2a9d8f", "#e9a03b", "#8d8d8d", "#c0504d")


def draw(figures: dict[str, Any], file: Path) -> None:
    """Draw what `benchmarks.planted_signal.report` returns: shares by seed with intervals, and learning curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.8), width_ratios=(1.25, 1), layout="constrained")
    seeds = figures["seeds"]
    offsets = np.linspace(-0.28, 0.28, len(seeds)) if len(seeds) > 1 else np.zeros(1)
    for place, (key, colour) in enumerate(zip(LABELS, COLOURS, strict=True)):
        values, bounds = np.array(figures[key]), np.array(figures["intervals"][key])
        reach = np.abs(bounds.T - values)
        left.errorbar(place + offsets, values, reach, fmt="o", color=colour, ms=4, lw=1, alpha=0.75)
        mean, (low, high) = figures["pooled"][key]["mean"], figures["pooled"][key]["interval"]
        left.fill_between([place - 0.38, place + 0.38], low, high, color=colour, alpha=0.15, lw=0)
        left.plot([place - 0.38, place + 0.38], [mean, mean], color=colour, lw=2)
        left.annotate(f"{mean:.2f}", (place + 0.4, mean), color=colour, fontsize=9, va="center")
    left.axhline(1, color="black", lw=0.8, ls="--")
    left.axhline(0, color="black", lw=0.8, ls=":")
    left.set_xticks(range(len(LABELS)), LABELS.values(), fontsize=8)
    left.set_xlim(-0.6, len(LABELS) - 0.2)
    left.set_ylabel("share of the optimal Sharpe ratio")
    left.set_title("Unseen dates: seeds with 95 % intervals; bars: their mean", fontsize=10)

    for number, notes in enumerate(figures["notes"]):
        curve = notes.get("curve")
        if not curve:
            continue
        shade = pyplot.cm.viridis(0.1 + 0.75 * number / max(len(seeds) - 1, 1))
        right.plot(curve["step"], _smooth(curve["train"]), color=shade, lw=0.8, alpha=0.5)
        steps, values = curve["validation_step"], curve["validation"]
        right.plot(steps, values, "o-", color=shade, ms=3, lw=1.3, label=f"seed {seeds[number]}")
        if notes.get("chosen_step") in steps:
            chosen = steps.index(notes["chosen_step"])
            right.plot(steps[chosen], values[chosen], "*", color=shade, ms=13)
    right.axhline(1, color="black", lw=0.8, ls="--")
    right.axhline(0, color="black", lw=0.8, ls=":")
    right.set_xlabel("update")
    right.set_ylabel("log return, share of the optimum's")
    right.set_title("Greedy on validation days (dots, star: chosen); thin: training, sampled", fontsize=10)
    right.legend(fontsize=8, loc="lower right")
    picture.savefig(file, dpi=130)
    pyplot.close(picture)


def _smooth(values: list[float], width: int = 5) -> np.ndarray:
    """Mean of each value and up to `width` - 1 before it."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)
