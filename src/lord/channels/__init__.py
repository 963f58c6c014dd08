"""Resize ordinary networks, by a map of which channels lie where in their tensors.

Networks stay plain modules. A *selection* says, for each group of coupled channels, how many or
which are kept. It narrows a network to a smaller ordinary module, or to views of its parameters.
"""

from lord.channels.elastic import Elastic
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
    "permute",
    "skeleton_of",
    "tensors_of",
    "trace",
]
