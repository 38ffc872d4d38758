"""StockNet's own layout: prices as CSV, tweets as a file a day, one JSON object a line.

Xu and Cohen, "Stock Movement Prediction from Tweets and Historical Prices", ACL 2018.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flag_trl.data.errors import DataError, shortened
from flag_trl.data.readers.adjusted import adjusted_frame
from flag_trl.data.readers.tables import read_csv
from flag_trl.data.readers.timed import TimedText, read_moment

if TYPE_CHECKING:
    import pandas as pd

PRICES = Path("price") / "raw"
TWEETS = (Path("tweet") / "preprocessed", Path("tweet") / "raw")
MOMENT = "%a %b %d %H:%M:%S %z %Y"


def is_stocknet(folder: Path) -> bool:
    """Whether a folder is laid out as the published dataset."""
    return (folder / PRICES).is_dir()


def read_stocknet(folder: Path, symbol: str) -> "tuple[pd.DataFrame, Path, list[TimedText]]":
    """Read one symbol's bars, and its tweets with their moments.

    The preprocessed tweets are taken, which leave out near-identical ones; the raw ones where there are no others.

    Returns
    -------
    frame, file, tweets

    Raises
    ------
    DataError
        Naming the file and line of what cannot be read, or the symbols that there are.
    """
    files = {file.stem.casefold(): file for file in sorted((folder / PRICES).glob("*.csv"))}
    file = files.get(symbol.casefold())
    if file is None:
        found = shortened([file.stem for file in files.values()])
        raise DataError(f"{folder / PRICES}: there is no {symbol}.csv; there are: {found}")
    frame = adjusted_frame(read_csv(file, symbol), "adj close")
    days = next((days for part in TWEETS if (days := folder / part / file.stem).is_dir()), None)
    return frame, file, [] if days is None else [tweet for day in sorted(days.iterdir()) for tweet in _tweets(day)]


def _tweets(file: Path) -> list[TimedText]:
    """Those of one day."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not UTF-8; download it again") from error
    return [_tweet(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _tweet(line: str, place: str) -> TimedText:
    try:
        tweet = json.loads(line)
        text, created = tweet["text"], tweet["created_at"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place}: is no tweet with text and created_at ({error!r}); download it again") from None
    words = " ".join(map(str, text)) if isinstance(text, list) else str(text)
    return TimedText("news", words, read_moment(str(created), MOMENT, place))
