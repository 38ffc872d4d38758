"""What the agent may know on a day."""

from flag_trl.observations.config import NewsSelector, NumberForm, ObservationConfig
from flag_trl.observations.market_text import TextPart
from flag_trl.observations.numbers import Numbers
from flag_trl.observations.observation import Observation
from flag_trl.observations.observer import Markets, Observer

__all__ = [
    "Markets",
    "NewsSelector",
    "NumberForm",
    "Numbers",
    "Observation",
    "ObservationConfig",
    "Observer",
    "TextPart",
]
