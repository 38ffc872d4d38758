"""What the agent may know on a day."""

from flag_trl.observations.chart import Chart
from flag_trl.observations.config import NewsSelector, NumberForm, ObservationConfig
from flag_trl.observations.market_text import TextPart
from flag_trl.observations.numbers import Numbers
from flag_trl.observations.observation import Observation
from flag_trl.observations.observer import Markets, Observer
from flag_trl.observations.reflections import EpisodeMemory, load_memories, save_memories

__all__ = [
    "Chart",
    "EpisodeMemory",
    "Markets",
    "NewsSelector",
    "NumberForm",
    "Numbers",
    "Observation",
    "ObservationConfig",
    "Observer",
    "TextPart",
    "load_memories",
    "save_memories",
]
