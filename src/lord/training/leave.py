"""What a finished run leaves: its record, its model, and a look at its classes."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from lord.costs import Meter, peak_bytes, tensor_bytes
from lord.evaluation import (
    Matrices,
    RunRecord,
    Scores,
    average_incremental,
    backward_transfer,
    final_average,
    forgetting,
    forward_transfer,
    minimum_accuracy,
    stability_gap,
)
from lord.learner import Model, save_model
from lord.methods import AnyMethod, recomputed_statistics
from lord.storage import write_atomic
from lord.training.classes import write_classes
from lord.training.config import FREE, RunConfig, flat
from lord.training.loop import TRAINING, Loop


def leave(
    out: Path | None,
    config: RunConfig,
    method: AnyMethod,
    classes: tuple[str, ...],
    shape: tuple[int, int, int],
    record: RunRecord,
    last: Scores,
) -> None:
    """Write the model, with the statistics that are the run's headline, and the classes.

    Args:
        out: None on all processes of a run but the first: they only share the passes.
        last: scores after the last task.
    """
    again = record.statistics == "recomputed"
    with recomputed_statistics(method) if again else nullcontext():
        augment = method.augment
        network = method.predictor.eval()
        model = Model(network, classes, shape, augment.mean, augment.std, config.network)
        if out is not None:
            write_atomic(out / "model.safetensors", lambda draft: save_model(model, draft))
    if out is not None:
        write_classes(out, classes, record.statistics, last, method.buffer)


def last_scores(loop: Loop, statistics: str) -> Scores:
    """Scores after the last task, with those batch-norm statistics."""
    trained, recomputed = loop.scores[-1]
    return recomputed if statistics == "recomputed" and recomputed else trained


def settings_of(config: RunConfig) -> dict[str, Any]:
    """What runs of other seeds have in common with this one."""
    apart = {"method", "preset", "seed", "device", "evaluate_every", *FREE}
    own = {name: value for name, value in flat(config).items() if name not in apart}
    return {name: str(v) if isinstance(v, list | tuple) else v for name, v in own.items()}


def record_of(
    config: RunConfig,
    method: AnyMethod,
    loop: Loop,
    matrices: Matrices,
    meter: Meter,
    wall: float,
    device: torch.device,
    processes: int,
    missed: float,
) -> RunRecord:
    """The summary of a run. wall: seconds it took; missed: share of a pass's
    FLOPs that is not counted. Processes are taken to have equal shares."""
    flops = Counter({phase: processes * count for phase, count in meter.flops.items()})
    seconds = meter.seconds
    again_class, again_task = matrices.class_il_recomputed, matrices.task_il_recomputed
    statistics = config.settings.statistics if again_class else "trained"
    recomputed = statistics == "recomputed"
    headline = again_class if again_class and recomputed else matrices.class_il
    last = last_scores(loop, statistics)
    between = matrices.between
    return RunRecord(
        method=config.method,
        label=config.label,
        epochs=config.training.epochs,
        preset=config.preset,
        seed=config.seed,
        statistics=statistics,
        class_il=final_average(matrices.class_il),
        task_il=final_average(matrices.task_il),
        class_il_recomputed=final_average(again_class) if again_class else None,
        task_il_recomputed=final_average(again_task) if again_task else None,
        forgetting=forgetting(headline),
        average_incremental=average_incremental(headline),
        backward_transfer=backward_transfer(headline),
        forward_transfer=forward_transfer(matrices.before or [], matrices.untrained or []),
        minimum_accuracy=minimum_accuracy(matrices.class_il, between) if between else None,
        stability_gap=stability_gap(matrices.class_il, between) if between else None,
        calibration=last.calibration,
        recency=last.recency,
        uncounted=missed,
        training_flops=sum(flops[phase] for phase in TRAINING),
        search_flops=flops["search"],
        recompute_flops=flops["recompute"],
        eval_flops=flops["evaluate"],
        wall_s=wall,
        step_s=seconds["step"],
        search_s=seconds["search"],
        recompute_s=seconds["recompute"],
        eval_s=seconds["evaluate"],
        steps=loop.steps,
        images_per_s=loop.images / max(seconds["step"], 1e-9),
        peak_bytes=peak_bytes(device),
        state_bytes=tensor_bytes(method.state_dict()),
        buffer_bytes=method.buffer.nbytes if method.buffer is not None else 0,
        params=sum(parameter.numel() for parameter in method.predictor.parameters()),
        settings=settings_of(config),
        matrices=matrices,
    )
