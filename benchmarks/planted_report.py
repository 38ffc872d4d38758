"""What the planted-signal benchmark says of its finished seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.planted_run import SeedRun
from benchmarks.planted_shares import bootstrap_shares, interval, sharpe_share

SHARES = ("share_known", "share_unseen", "share_probe", "share_ceiling", "share_shuffled")


def report(runs: Sequence[SeedRun]) -> dict[str, Any]:
    """All figures of finished seeds.

    Returns
    -------
    dict
        The five shares, a list over seeds each; ``pooled``, their means with two-level intervals; ``intervals`` by
        seed; ``difference``, policy less probe as a share of the optimum, by seed and pooled, by the two-level
        bootstrap and by days alone; ``reading``, how often positions follow the sentence; curves and seconds.
    """
    known, unseen = ([run.test_days(name) for run in runs] for name in ("known", "unseen"))
    out: dict[str, Any] = {}
    for key in SHARES:
        name = key.removeprefix("share_")
        days = known if name == "known" else unseen
        out[key] = [sharpe_share(one.returns[name], one.optimal) for one in days]
    pooled = {**bootstrap_shares(known), **bootstrap_shares(unseen)}
    single = [{**bootstrap_shares([k]), **bootstrap_shares([u])} for k, u in zip(known, unseen, strict=True)]
    names = {key: key.removeprefix("share_") for key in SHARES}
    out["pooled"] = {
        key: {"mean": float(np.mean(out[key])), "interval": interval(pooled[name].mean(0))}
        for key, name in names.items()
    }
    out["intervals"] = {key: [interval(one[name][0]) for one in single] for key, name in names.items()}
    differences = np.subtract(out["share_unseen"], out["share_probe"])
    by_days = bootstrap_shares(unseen, wordings=False)
    out["difference"] = {
        "by_seed": differences.tolist(),
        "intervals": [interval(one["unseen"][0] - one["probe"][0]) for one in single],
        "pooled": float(differences.mean()),
        "pooled_interval": interval((pooled["unseen"] - pooled["probe"]).mean(0)),
        "pooled_interval_days_alone": interval((by_days["unseen"] - by_days["probe"]).mean(0)),
    }
    out["reading"] = {name: [run.reading(name) for run in runs] for name in names.values()}
    out["optimal_daily_sharpe"] = [float(d.optimal.mean() / d.optimal.std()) for d in unseen]
    out["seconds"] = [round(run.total_seconds, 1) for run in runs]
    out["stages"] = [run.seconds for run in runs]
    out["notes"] = [run.notes for run in runs]
    out["seeds"] = [run.seed for run in runs]
    return out


def summary(figures: dict[str, Any]) -> str:
    """The report as a few lines for people."""
    lines = [f"{len(figures['seeds'])} seed(s); shares of the Bayes-optimal Sharpe ratio, 95 % two-level intervals"]
    for key in SHARES:
        low, high = figures["pooled"][key]["interval"]
        each = " ".join(f"{value:5.2f}" for value in figures[key])
        lines.append(f"{key:15} {figures['pooled'][key]['mean']:5.2f} [{low:5.2f}, {high:5.2f}]  by seed {each}")
    low, high = figures["difference"]["pooled_interval"]
    lines.append(f"policy - probe  {figures['difference']['pooled']:5.2f} [{low:5.2f}, {high:5.2f}]")
    lines.append(f"seconds a seed: {', '.join(f'{value:.0f}' for value in figures['seconds'])}")
    return "\n".join(lines)
