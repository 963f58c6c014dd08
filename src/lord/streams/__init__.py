"""How a data set becomes a sequence of tasks."""

from lord.streams.avalanche import from_avalanche
from lord.streams.cursor import Cursor, batch_count
from lord.streams.presets import PRESETS, Protocol
from lord.streams.stream import Stream, StreamConfig, Task, batches, make_stream

__all__ = [
    "PRESETS",
    "Cursor",
    "Protocol",
    "Stream",
    "StreamConfig",
    "Task",
    "batch_count",
    "batches",
    "from_avalanche",
    "make_stream",
]
