"""Cut a data set into a sequence of tasks, and a task into a sequence of batches."""

from lord.streams.avalanche import from_avalanche
from lord.streams.cursor import Cursor, batch_count
from lord.streams.presets import PRESETS, Protocol
from lord.streams.stream import StreamConfig, make_stream
from lord.streams.tasks import Stream, Task

__all__ = [
    "PRESETS",
    "Cursor",
    "Protocol",
    "Stream",
    "StreamConfig",
    "Task",
    "batch_count",
    "from_avalanche",
    "make_stream",
]
