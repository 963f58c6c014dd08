"""Elasticity as data: which dimension of which tensor belongs to which group of channels.

Networks stay plain modules. A selection (per group: how many channels, or which) narrows one to
a smaller ordinary module, or to views of its live parameters.
"""

from lord.channels.elastic import Elastic, carry_over
from lord.channels.map import ChannelMap, Group, Selection
from lord.channels.modules import adopt_sizes, assemble, batch_statistics, skeleton_of, tensors_of
from lord.channels.order import permute
from lord.channels.trace import trace

__all__ = [
    "ChannelMap",
    "Elastic",
    "Group",
    "Selection",
    "adopt_sizes",
    "assemble",
    "batch_statistics",
    "carry_over",
    "permute",
    "skeleton_of",
    "tensors_of",
    "trace",
]
