"""Check that a device computes what the CPU computes, and measure its speed."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import torch
from torch import Tensor, nn

from lord.bench.ceiling import matmul_ceiling
from lord.channels import Elastic, trace
from lord.config import UserError, Value, first_line, seeded
from lord.data import load_images
from lord.learner import Deployed, export_onnx
from lord.methods import METHODS, AnyMethod, Batch, Pipeline, Progress, take_step
from lord.methods.lord import LoRD
from lord.networks import ResNet18
from lord.storage.checkpoint import load_state, save_state
from lord.streams import Task, batch_count
from lord.training.config import RunConfig, compose
from lord.training.folder import environment
from lord.training.setup import make_method, pick_device, stream_of, threads

SMALL: dict[str, Value] = {
    "scenario": "classes",
    "tasks": 5,
    "epochs": 1,
    "batch": 16,
    "buffer": 50,
    "width": 8,
    "subset": 0.15,
    "lord.candidates": 20,
    "lord+.candidates": 20,
    "gdumb.passes": 2,
}
"""Settings of the runs: digits without augmentation, since devices draw other random numbers."""
TASKS = 2
TOLERANCE = 0.02
"""Largest difference of logits after some steps, as a share of the largest logit. Rounding alone
reaches 1e-3 on devices that multiply with fewer bits."""
CPU = torch.device("cpu")


class Finding(msgspec.Struct, frozen=True):
    """The result of one check."""

    name: str
    result: Literal["agrees", "differs", "unavailable"]
    detail: str


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """All findings on a machine. Speeds are FLOP/s of a large matrix product."""

    device: str
    environment: dict[str, Any]
    """Versions, processor, cores, threads and date."""
    findings: list[Finding]
    fp32_flops: float
    bf16_flops: float

    @property
    def differing(self) -> list[str]:
        """Names of the checks that differ."""
        return [each.name for each in self.findings if each.result == "differs"]


def check(device: str = "auto", say: Callable[[str], None] = lambda name: None) -> CheckReport:
    """Compare a device with the CPU, on one thread, in all that a run or a learner does.

    The CPU itself is checked with all its threads. Every method learns two tasks of the digits.

    Args:
        device: "auto", "cpu" or "cuda".
        say: called with the name of each check before it.

    Raises:
        UserError: if the device is not available.
    """
    chosen = pick_device(device)
    findings = []
    for name, examine in _checks():
        say(name)
        findings.append(_finding(name, examine, chosen))
    say("speed")
    speeds = [matmul_ceiling(chosen, kind, size=1024) for kind in (torch.float32, torch.bfloat16)]
    return CheckReport(
        device=torch.cuda.get_device_name() if chosen.type == "cuda" else chosen.type,
        environment=environment(),
        findings=findings,
        fp32_flops=speeds[0],
        bf16_flops=speeds[1],
    )


class Difference(NamedTuple):
    """How far a check is from its reference.

    Attributes:
        size: largest difference as a share of the largest value. It may be at most ``allowed``.
        allowed: 0 if both must be the same bit by bit.
    """

    size: float
    allowed: float = TOLERANCE


Examine = Callable[[torch.device], Difference]


def _checks() -> Iterator[tuple[str, Examine]]:
    yield "forward and backward", _passes
    yield "growth", _growth
    yield "teacher search", _search
    for name in METHODS:
        yield f"training: {name}", partial(_training, name)
    for name in METHODS:
        yield f"resuming: {name}", partial(_resuming, name)
    yield "bf16", _bf16
    yield "export to ONNX", _export
    yield "torch.compile", _compiled


def _finding(name: str, examine: Examine, device: torch.device) -> Finding:
    """Run one check. Whatever goes wrong in it is a finding, so that all others still run."""
    try:
        difference = examine(device)
    except UserError as error:
        return Finding(name, "unavailable", str(error))
    except Exception as error:
        return Finding(name, "differs", f"{type(error).__name__}: {first_line(error)}")
    same = difference.size <= difference.allowed
    detail = f"difference {difference.size:.1g}" if difference.size else "the same bits"
    return Finding(name, "agrees" if same else "differs", detail)


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest difference as a share of the largest value; infinite for NaN."""
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    distance = float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))
    return distance if distance == distance else float("inf")


def _network() -> tuple[nn.Module, Tensor]:
    with seeded(0):
        return ResNet18(10, 8).eval(), torch.randn(8, 3, 32, 32)


def _passes(device: torch.device) -> Difference:
    """Compare logits and gradients of a ResNet-18 with those in double precision."""
    found = []
    for place, dtype in ((CPU, torch.float64), (device, torch.float32)):
        network, images = _network()
        network.to(place, dtype)
        logits = network(images.to(place, dtype))
        logits.square().sum().backward()
        gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        found.append((logits, torch.cat(gradients)))
    return Difference(max(_distance(*pair) for pair in zip(found[1], found[0], strict=True)))


def _growth(device: torch.device) -> Difference:
    """Compare the logits before growth that preserves the function with those after it."""
    network, images = _network()
    network, images = network.to(device), images.to(device)
    elastic = Elastic(network, trace(network, images[:2]))
    before = elastic.resize([group.size // 2 for group in elastic.channels.groups])(images)
    after = elastic.resize(elastic.channels.full, preserve=True)(images)
    return Difference(_distance(after, before))


def _search(device: torch.device) -> Difference:
    """Compare the channels of the teacher that LoRD finds."""
    counts = []
    for place in (CPU, device):
        method = _Trial("lord", place).trained()
        assert isinstance(method, LoRD)
        assert method.teacher is not None
        counts.append(torch.tensor(method.teacher.counts))
    return Difference(_distance(counts[1], counts[0]), 0)


def _training(name: str, device: torch.device) -> Difference:
    """Compare the logits of a method after two tasks."""
    with threads(1):
        reference = _Trial(name, CPU)
        expected = reference.logits(reference.trained())
    trial = _Trial(name, device)
    return Difference(_distance(trial.logits(trial.trained()), expected))


def _resuming(name: str, device: torch.device) -> Difference:
    """Compare a method that was saved and loaded between two tasks with one that was not."""
    trial = _Trial(name, device)
    whole = trial.logits(trial.trained())
    again = _Trial(name, device)
    with tempfile.TemporaryDirectory() as folder:
        save_state(again.trained(until=1).state_dict(), Path(folder) / "state.safetensors")
        state, _ = load_state(Path(folder) / "state.safetensors")
    loaded = again.make()
    loaded.load_state_dict(state)
    return Difference(_distance(again.logits(again.trained(loaded, start=1)), whole), 0)


def _bf16(device: torch.device) -> Difference:
    """Compare a ResNet-18's logits in bf16 with those in fp32."""
    network, images = _network()
    network, images = network.to(device), images.to(device)
    expected = network(images)
    with torch.autocast(device.type, torch.bfloat16):
        return Difference(_distance(network(images), expected), 0.1)


def _compiled(device: torch.device) -> Difference:
    """Compare a compiled network's logits."""
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 30 * 30, 10)
    network, images = nn.Sequential(*layers).to(device), _network()[1].to(device)
    with torch.no_grad():
        return Difference(_distance(torch.compile(network)(images), network(images)))


def _export(device: torch.device) -> Difference:
    """Compare the ONNX model of a network that was trained on the device with PyTorch."""
    trial = _Trial("lord+", device)
    student, task = trial.trained().student.cpu(), trial.stream.test[0]
    channels = task.images.shape[1]
    deployed = Deployed(Pipeline(student, [0.5] * channels, [0.5] * channels))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        names = trial.stream.class_names
        return Difference(export_onnx(deployed, names, task.images[:16].cpu(), file), 1e-3)


class _Trial:
    """A small run of one method on one device.

    Args:
        name: the method.
        device: device to train on.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.config: RunConfig = compose(name, SMALL, preset="permuted-digits", beside=METHODS)
        self.device = device
        self.data = load_images(self.config.data)
        self.make()

    def make(self) -> AnyMethod:
        """Make the method, untrained."""
        stream = stream_of(self.config, self.data)
        method, self.stream = make_method(self.config, self.data, stream, self.device)
        return method

    def trained(
        self, method: AnyMethod | None = None, start: int = 0, until: int = TASKS
    ) -> AnyMethod:
        """Let a method, by default an untrained one, learn some tasks."""
        method = method or self.make()
        for task in self.stream.train[start:until]:
            self._learn(method, task)
        return method

    def logits(self, method: AnyMethod) -> Tensor:
        """Return the logits of test images of the first task."""
        return method.predict(self.stream.test[0].images[:64])

    def _learn(self, method: AnyMethod, task: Task) -> None:
        size, count = self.config.training.batch, len(task.labels)
        steps = batch_count(count, size)
        with seeded("begin", task.index):
            method.begin_task(task)
        for step in range(steps):
            rows = torch.arange(step * size, min((step + 1) * size, count), device=self.device)
            batch = Batch(task.images[rows], task.labels[rows], rows)
            with seeded("step", task.index, step):
                take_step(method, batch, Progress(step, steps))
        with seeded("end", task.index):
            method.end_task(task)
