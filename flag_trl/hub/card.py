"""The model card: what a trader has to know before running somebody's agent."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, StrictUndefined

TAGS = ["trl", "flag-trl", "trading", "reinforcement-learning"]
LIBRARY = "flag-trl"


def model_card(
    repository: str,
    agent: Mapping[str, Any],
    policy: Mapping[str, Any],
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None = None,
    trials: int = 1,
    licence: str | None = None,
    cutoff: str | None = None,
) -> str:
    """The card as Markdown with the Hub's metadata, results in ``model-index`` form among them.

    Parameters
    ----------
    repository : str
        ``user/name``.
    agent, policy, training : mapping
        Contents of ``agent.json``, ``policy.json`` and ``training.json``; the last may be empty.
    evaluation : mapping, optional
        Contents of an evaluation's ``results.json``.
    trials : int
        Configurations tried.
    licence : str, optional
        The Hub's identifier.
    cutoff : str, optional
        Last day that the base model's training text may tell of.
    """
    name = repository.rsplit("/", 1)[-1]
    results = _results(evaluation) if evaluation else []
    data = ModelCardData(
        base_model=policy["base_model"],
        library_name=LIBRARY,
        license=licence,
        tags=[*TAGS, policy["tuning"]["method"]],
        model_name=name if results else None,
        eval_results=results or None,
    )
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("card.md.jinja").read_text())
    text = template.render(
        name=name,
        repository=repository,
        agent=agent,
        policy=policy,
        training=training,
        evaluation=evaluation,
        answers=_answers(evaluation),
        scheme=_scheme(agent, training),
        trials=trials,
        cutoff=cutoff,
        version=version(LIBRARY),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def _results(evaluation: Mapping[str, Any]) -> list[EvalResult]:
    """Sharpe ratios of each test period, and their differences with intervals; what is undefined is left out."""
    trading = evaluation["tasks"].get("trading")
    if trading is None:
        return []
    found = []
    for period, part in trading["figures"]["periods"].items():
        days = " to ".join(evaluation["periods"][period])
        rows: Sequence[tuple[str, float | None, Mapping[str, Any]]] = [
            ("Sharpe ratio", part["after_costs"][0]["SR"], {}),
            *(
                (f"Sharpe ratio less {against}", row["difference"], {key: row[key] for key in ("low", "high")})
                for against, row in (("untrained", part["transfer_gain"]), ("Buy & Hold", part["over_buy_and_hold"]))
                if row is not None
            ),
        ]
        found += [
            EvalResult(
                task_type="reinforcement-learning",
                task_name="trading",
                dataset_type="market",
                dataset_name=f"{', '.join(evaluation['symbols'])}, {period}, {days}",
                metric_type="sharpe_ratio",
                metric_name=metric,
                metric_value=round(value, 4),
                metric_args={key: round(bound, 4) for key, bound in bounds.items() if bound is not None} or None,
            )
            for metric, value, bounds in rows
            if value is not None
        ]
    return found


def _answers(evaluation: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    """What the audit answered."""
    audit = evaluation["tasks"].get("audit") if evaluation else None
    found: Sequence[Mapping[str, Any]] = audit["figures"]["answers"] if audit else []
    return found


def _scheme(agent: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Arguments of `position_scheme`, as code; the weights of a `target` scheme among them."""
    name = str((agent["trained_on"] or {}).get("scheme", "all_in")).split(" ")[0]
    grid = training["trading"]["grid"] if training else None
    return f'"{name}"' + (f", {tuple(grid)}" if grid else "")
