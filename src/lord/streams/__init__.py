"""Cut a data set into a sequence of tasks, and a task into a sequence of batches."""

from lord.streams.avalanche import from_avalanche
from lord.streams.cursor import Cursor, batch_count
from lord.streams.in_memory import as_images, given_settings
from lord.streams.presets import BUILT_IN_PRESETS, PRESETS, Protocol
from lord.streams.register import register_stream
from lord.streams.stream import StreamConfig, make_stream
from lord.streams.tasks import Stream, Task

__all__ = [
    "BUILT_IN_PRESETS",
    "PRESETS",
    "Cursor",
    "Protocol",
    "Stream",
    "StreamConfig",
    "Task",
    "as_images",
    "batch_count",
    "from_avalanche",
    "given_settings",
    "make_stream",
    "register_stream",
]
