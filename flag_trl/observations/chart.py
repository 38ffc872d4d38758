"""The last bars as a picture, for vision-language policies."""

import io

import numpy as np

from flag_trl.data import MarketView

RISE, FALL, LINE = (38, 142, 108), (200, 72, 60), (40, 40, 40)
MARGIN = 0.04


class Chart:
    """A PNG that is equal to another of the same bytes, so that observations can be compared.

    Attributes
    ----------
    png : bytes
    """

    __slots__ = ("png",)

    def __init__(self, png: bytes) -> None:
        self.png = png

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chart) and self.png == other.png

    def __hash__(self) -> int:
        return hash(self.png)

    def __repr__(self) -> str:
        return f"Chart({len(self.png)} bytes)"


def candles(view: MarketView, bars: int, size: int) -> Chart:
    """Draw the last `bars` bars, `size` pixels wide and high.

    Candles where the market has opens, highs and lows, else a line through the closes. The lowest and the highest
    price of the window touch the margins and nothing is written, so no level can be read from it.

    Parameters
    ----------
    view : MarketView
    bars : int
    size : int

    Raises
    ------
    ImportError
        If Pillow is not installed.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise ImportError("charts are drawn by Pillow: pip install 'flag-trl[vision]'") from error
    close = view.close[-bars:]
    opened, high, low = (None if prices is None else prices[-bars:] for prices in (view.open, view.high, view.low))
    if opened is None or high is None or low is None:
        opened, high, low = None, close, close
    top, bottom = float(np.log(high).max()), float(np.log(low).min())
    span = top - bottom if top > bottom else 1.0
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    slot = size * (1 - 2 * MARGIN) / bars
    # Where the history is short the bars stand on the right.
    x = size * MARGIN + slot * (np.arange(len(close)) + bars - len(close) + 0.5)

    def y(prices: np.ndarray) -> np.ndarray:
        return size * (MARGIN + (1 - 2 * MARGIN) * (top - np.log(prices)) / span)

    if opened is None:
        points = list(zip(x.tolist(), y(close).tolist(), strict=True))
        draw.line(points, fill=LINE, width=max(1, size // 128))
        draw.point(points[-1:], fill=LINE)
        return _png(image)
    for centre, first, last, up, down in zip(x, y(opened), y(close), y(high), y(low), strict=True):
        colour = RISE if last <= first else FALL
        draw.line([(centre, up), (centre, down)], fill=colour)
        draw.rectangle([centre - 0.35 * slot, min(first, last), centre + 0.35 * slot, max(first, last)], fill=colour)
    return _png(image)


def _png(image: object) -> Chart:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")  # type: ignore[attr-defined]
    return Chart(buffer.getvalue())
