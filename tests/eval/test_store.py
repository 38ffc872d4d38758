"""Results are found again under the same settings alone, and a write that is cut short leaves the earlier one."""

import pandas as pd
import pytest

from eval import store
from eval.evaluation import TaskResult

RESULT = TaskResult({"a": float("nan"), "b": [1, 2.5]}, {"t": pd.DataFrame({"x": [1, 2]})}, ["words"])


def test_what_was_saved_is_read_under_the_same_key_alone(tmp_path) -> None:
    assert store.read(tmp_path / "trading", "one") is None
    store.save(tmp_path / "trading", "one", RESULT)
    found = store.read(tmp_path / "trading", "one")
    assert found is not None and found.figures == {"a": None, "b": [1, 2.5]} and found.words == ["words"]
    pd.testing.assert_frame_equal(found.tables["t"], RESULT.tables["t"])
    assert store.read(tmp_path / "trading", "two") is None


def test_an_interrupted_write_leaves_no_result(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda self, path, **_: path.write_text("half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.save(tmp_path, "one", RESULT)
    assert store.read(tmp_path, "one") is None and not (tmp_path / "t.parquet").exists()


def test_equal_settings_have_one_name_and_others_another() -> None:
    assert (
        store.digest({"b": 1, "a": (1, 2)})
        == store.digest({"a": [1, 2], "b": 1})
        != store.digest({"a": [1, 3], "b": 1})
    )
