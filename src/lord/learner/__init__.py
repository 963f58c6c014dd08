"""A classifier that you keep: its sessions and its state, trained models, and exports."""

from lord.learner.export import Deployed, export_int8, export_onnx, export_pt2
from lord.learner.folder import learn_folder
from lord.learner.learner import Learner
from lord.learner.model import Model, Prediction, load_model, save_model
from lord.learner.session import STATE_FILE, Session, holds_learner
from lord.learner.setup import LearnerConfig

__all__ = [
    "Deployed",
    "Learner",
    "LearnerConfig",
    "Model",
    "Prediction",
    "STATE_FILE",
    "Session",
    "export_int8",
    "export_onnx",
    "export_pt2",
    "holds_learner",
    "learn_folder",
    "load_model",
    "save_model",
]
