"""Publishing a trained agent: what another person needs to run it, and a card that says what it is worth."""

from flag_trl.hub.card import model_card
from flag_trl.hub.publish import EVALUATION_FILE, TRAINING_FILE, check_base_model, pack, publish

__all__ = ["EVALUATION_FILE", "TRAINING_FILE", "check_base_model", "model_card", "pack", "publish"]
