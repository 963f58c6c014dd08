"""Bare convolutions of a growing student on ladders of other multiples: share of time and FLOPs.

python benchmarks/channel_counts.py
"""

import torch

from lord.bench import bare_seconds, convolution_calls
from lord.channels import assemble, skeleton_of, trace
from lord.networks import ResNet18
from lord.student import Ladder, levels_over

torch.set_num_threads(2)
with torch.device("meta"):
    NETWORK = ResNet18(10, 64)
    CHANNELS = trace(NETWORK, torch.zeros(2, 3, 32, 32))


def seconds(counts, dtype):
    with torch.device("meta"):
        narrow = assemble(skeleton_of(NETWORK), CHANNELS.take(NETWORK.state_dict(), counts))
        calls = convolution_calls(lambda: narrow(torch.zeros(32, 3, 32, 32)))
    return bare_seconds(calls, torch.device("cpu"), dtype)


for dtype in (torch.bfloat16, torch.float32):
    full = seconds(CHANNELS.full, dtype), CHANNELS.flops(CHANNELS.full)
    for multiple in (8, 16, 32):
        ladder = Ladder(CHANNELS, Ladder.for_network(CHANNELS, 10).ratios, multiple)
        levels = [ladder.counts(level) for level in levels_over(5, ladder.top)]
        time = sum(seconds(counts, dtype) for counts in levels) / len(levels) / full[0]
        flops = sum(map(CHANNELS.flops, levels)) / len(levels) / full[1]
        print(f"{dtype}, {multiple}: FLOPs {flops:.3f}, time {time:.3f}, ratio {time / flops:.3f}")
