"""Each policy of bad character is caught by name, through the public interface alone, and an honest one passes."""

import pytest

from eval.tasks import audit
from tests.eval.policies import AlwaysLong, Leaky, NameReader, Reader

CHARACTERS = {"looks_ahead": Leaky, "one_sided": AlwaysLong, "goes_by_the_name": NameReader}


@pytest.mark.parametrize("key", CHARACTERS)
def test_a_policy_of_bad_character_is_caught(key: str, evaluation) -> None:
    found = audit.run(evaluation(("MSFT", "JNJ"), policies={"trained": CHARACTERS[key]()})).figures
    assert key in found["caught"]
    assert not (set(CHARACTERS) - {key}) & set(found["caught"])


def test_an_honest_policy_passes(evaluation) -> None:
    found = audit.run(evaluation(("MSFT", "JNJ"), policies={"trained": Reader()}))
    assert not set(CHARACTERS) & set(found.figures["caught"])
    assert {answer["key"] for answer in found.figures["answers"]} >= {
        "cutoff",
        "survives",
        "exposure",
        "calibrated",
        "tries",
    }
    flips = found.tables["altered"].groupby("altered")["flipped"].mean()
    assert flips["names replaced"] == flips["dates moved"] == 0 and flips["prices mirrored"] > 0.5


def test_names_that_move_probabilities_further_than_evidence_are_caught_without_a_turn(evaluation) -> None:
    class Leaning(Reader):
        def likes(self, observation) -> float:
            return 1.0 if observation.market_text.startswith("M") else 2.0

    found = audit.run(evaluation(policies={"trained": Leaning()}))
    assert "goes_by_the_name" in found.figures["caught"]
    assert not found.tables["altered"]["flipped"].any()
