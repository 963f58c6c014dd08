"""When LoRD beside a head goes on learning."""

from copy import deepcopy
from dataclasses import replace

import torch

from lord.methods.conftest import Make, learn, take
from lord.methods.fused import KeepingSLDA, LoRDFused
from lord.streams import Task

SETTINGS = {"width": 4, "candidates": 0}


def without_meaning(task: Task) -> Task:
    """Return a task with random labels, so that neither head nor student is right."""
    order = torch.randperm(len(task.labels), generator=torch.Generator().manual_seed(0))
    return replace(task, labels=task.labels[order])


def after_a_task_without_meaning(make: Make, pays: float) -> tuple[LoRDFused, list[Task]]:
    method, stream = make("lord-fused", pays=pays, **SETTINGS)
    assert isinstance(method, LoRDFused)
    tasks = [without_meaning(stream.train[0]), stream.train[1]]
    learn(method, replace(stream, train=tasks), tasks=1)
    assert len(method.head.kept["labels"])
    return method, tasks


def weights(method: LoRDFused) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in method.student.parameters()])


def test_a_student_that_does_not_pay_is_not_trained_in_later_tasks(make):
    method, tasks = after_a_task_without_meaning(make, pays=1.0)
    assert not method.training
    level, before = method.level, weights(method)
    method.begin_task(tasks[1])
    take(method, tasks[1], 0)
    assert method.level == level
    assert torch.equal(weights(method), before)


def test_the_head_is_on_the_device_of_the_student(make):
    method, _ = make("lord-fused", **SETTINGS)
    network = deepcopy(method.context.network).to("meta")
    head = KeepingSLDA(method.config, replace(method.context, network=network), None)
    assert head.device == head.head.weight.device == torch.device("meta")


def test_pays_0_always_trains_the_student(make):
    method, _ = after_a_task_without_meaning(make, pays=0.0)
    assert method.training


def test_the_student_is_trained_while_the_head_has_made_few_mistakes(make):
    method, stream = make("lord-fused", **SETTINGS)
    learn(method, stream, tasks=1, steps=2)
    assert method.training  # two steps gain nothing, but the head is right on nearly all images
    before = weights(method)
    method.begin_task(stream.train[1])
    grown = weights(method)
    take(method, stream.train[1], 0)
    assert len(grown) != len(before) or not torch.equal(weights(method), before)


def test_the_student_is_not_judged_early_in_a_task(make):
    method, stream = make("lord-fused", **SETTINGS)
    task = without_meaning(stream.train[0])
    method.begin_task(task)
    for step in range(method.context.steps(task) // 4):
        take(method, task, step)
    assert method.training
