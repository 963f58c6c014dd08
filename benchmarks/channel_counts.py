"""Time the bare convolutions of a student that grows in multiples of 8, 16 or 32 channels.

    python benchmarks/channel_counts.py

Prints the student's share of the full width's FLOPs and time, averaged over its levels.
"""

import torch

from lord.bench import bare_seconds, convolution_calls
from lord.channels import assemble, skeleton_of, trace
from lord.networks import ResNet18
from lord.student import Ladder, levels_over

CPU = torch.device("cpu")
TASKS = 5
CLASSES = 10


def main() -> None:
    torch.set_num_threads(2)
    with torch.device("meta"):
        network = ResNet18(CLASSES, 64)
        channels = trace(network, torch.zeros(2, 3, 32, 32))

    def seconds(counts: list[int], dtype: torch.dtype) -> float:
        """Return the time of all convolutions at these channel counts."""
        with torch.device("meta"):
            narrow = assemble(skeleton_of(network), channels.take(network.state_dict(), counts))
            calls = convolution_calls(lambda: narrow(torch.zeros(32, 3, 32, 32)))
        return bare_seconds(calls, CPU, dtype)

    full_flops = channels.flops(channels.full)
    ratios = Ladder.for_network(channels, CLASSES).ratios
    for dtype in (torch.bfloat16, torch.float32):
        full_seconds = seconds(channels.full, dtype)
        for multiple in (8, 16, 32):
            ladder = Ladder(channels, ratios, multiple)
            levels = [ladder.counts(level) for level in levels_over(TASKS, ladder.top)]
            time = sum(seconds(counts, dtype) for counts in levels) / len(levels) / full_seconds
            flops = sum(map(channels.flops, levels)) / len(levels) / full_flops
            print(
                f"{dtype}, {multiple}: FLOPs {flops:.3f}, time {time:.3f}, ratio {time / flops:.3f}"
            )


if __name__ == "__main__":
    main()
