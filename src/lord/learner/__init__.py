"""What is kept: a trained model on disk, and its predictions."""

from lord.learner.model import Model, load_model, save_model

__all__ = ["Model", "load_model", "save_model"]
