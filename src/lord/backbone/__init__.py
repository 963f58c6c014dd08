"""Pretrained networks, frozen below a cut: what is known before training starts."""

from lord.backbone.config import BackboneConfig
from lord.backbone.cutting import cut_network, cuts
from lord.backbone.features import Backbone, default_size
from lord.backbone.latents import Latents, Scales
from lord.backbone.pretrained import Pretrained
from lord.backbone.sources import absolute_name, load_pretrained, register_backbone

__all__ = [
    "Backbone",
    "BackboneConfig",
    "Latents",
    "Pretrained",
    "Scales",
    "absolute_name",
    "cut_network",
    "cuts",
    "default_size",
    "load_pretrained",
    "register_backbone",
]
