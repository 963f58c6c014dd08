"""What is kept: a learner and its state, a trained model, its predictions."""

from lord.learner.export import Deployed, export_int8, export_onnx, export_pt2
from lord.learner.keep import (
    before_interrupted,
    coloured,
    exists,
    learn_folder,
    load_learner,
)
from lord.learner.learner import Learner
from lord.learner.model import Model, Prediction, load_model, save_model
from lord.learner.session import STATE_FILE, Session
from lord.learner.setup import LearnerConfig, by_name, learner_config

__all__ = [
    "Deployed",
    "Learner",
    "LearnerConfig",
    "Model",
    "Prediction",
    "STATE_FILE",
    "Session",
    "before_interrupted",
    "by_name",
    "coloured",
    "exists",
    "export_int8",
    "export_onnx",
    "export_pt2",
    "learn_folder",
    "learner_config",
    "load_learner",
    "load_model",
    "save_model",
]
