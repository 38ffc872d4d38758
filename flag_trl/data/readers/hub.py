"""Hugging Face datasets, saved in a folder or published on the Hub."""

from pathlib import Path
from typing import TYPE_CHECKING

from flag_trl.data.errors import DataError

if TYPE_CHECKING:
    import datasets

SAVED_MARKS = ("dataset_info.json", "dataset_dict.json")


def load_saved(folder: Path) -> "datasets.Dataset":
    """Load what `Dataset.save_to_disk` wrote.

    Raises
    ------
    DataError
        If it cannot be read or holds several splits.
    """
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}: the saved dataset cannot be read ({error}); save it again") from error
    return _only_split(loaded, str(folder))


def load_published(source: str) -> "datasets.Dataset":
    """Load a dataset from the Hub, or from a folder of CSV or Parquet files. Remote code is never run.

    Raises
    ------
    DataError
        If the Hub cannot be reached, there is no such dataset, its files cannot be read, or it holds several splits.
    """
    import datasets

    try:
        loaded = datasets.load_dataset(source)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise DataError(
            f"{source}: no file or folder here, and no dataset that the Hub would show; check the spelling, and for "
            "a private dataset log in with `hf auth login`"
        ) from error
    except (ConnectionError, TimeoutError) as error:
        raise DataError(
            f"{source}: no file or folder here, and the Hub could not be reached over the network ({error}); check "
            "the path, connect to the network, or give the path of a downloaded copy"
        ) from error
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{source}: the dataset cannot be read ({error}); it needs CSV or Parquet files") from error
    return _only_split(loaded, source)


def _only_split(loaded: "datasets.Dataset | datasets.DatasetDict", name: str) -> "datasets.Dataset":
    import datasets

    if isinstance(loaded, datasets.Dataset):
        return loaded
    if len(loaded) != 1:
        raise DataError(
            f"{name}: holds the splits {', '.join(loaded)}; save one of them with `save_to_disk` and give that folder "
            "(periods are cut from one table, by date)"
        )
    return next(iter(loaded.values()))
