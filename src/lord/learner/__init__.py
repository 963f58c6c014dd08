"""What is kept: a trained model, its predictions, and the state learning goes on from."""

from lord.learner.checkpoint import load_state, previous, save_state
from lord.learner.files import write_atomic, write_text
from lord.learner.model import Model, load_model, save_model

__all__ = [
    "Model",
    "load_model",
    "load_state",
    "previous",
    "save_model",
    "save_state",
    "write_atomic",
    "write_text",
]
