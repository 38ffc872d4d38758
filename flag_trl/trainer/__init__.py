"""Training by policy gradient over whole episodes."""

from flag_trl.trainer.checkpoints import last_whole
from flag_trl.trainer.flag_config import FlagConfig
from flag_trl.trainer.flag_trainer import FlagTrainer

__all__ = ["FlagConfig", "FlagTrainer", "last_whole"]
