"""The results of a finished run: its record, its model, and figures about its classes."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from lord.config import fields
from lord.costs import Meter, peak_bytes, tensor_bytes
from lord.evaluation import (
    Matrices,
    RunRecord,
    Scores,
    area_under_accuracy,
    average_incremental,
    backward_transfer,
    final_average,
    forgetting,
    forward_transfer,
    mean,
    minimum_accuracy,
    stability_gap,
)
from lord.learner import Model, save_model
from lord.methods import (
    METHODS,
    AnyMethod,
    OptimizerConfig,
    recomputed_statistics,
    trained_part,
)
from lord.storage import write_atomic
from lord.training.budget import FlopBudget, RealTime
from lord.training.classes import write_classes
from lord.training.config import FREE, RunConfig, flat
from lord.training.folder import RunFolder
from lord.training.loop import TRAINING, Loop


@dataclass(frozen=True)
class Outcome:
    """A run after training.

    Attributes:
        method: the trained method.
        loop: the loop at the end of the stream.
        matrices: accuracy after each task.
        meter: FLOPs and seconds of each phase, on this process.
        wall: seconds that the whole run took.
    """

    method: AnyMethod
    loop: Loop
    matrices: Matrices
    meter: Meter
    wall: float

    def last_scores(self, statistics: str) -> Scores:
        """Return the scores after the last task, with these batch-norm statistics."""
        trained, recomputed = self.loop.scoring.after[-1]
        return recomputed if statistics == "recomputed" and recomputed else trained


def write_artifacts(
    folder: RunFolder,
    config: RunConfig,
    outcome: Outcome,
    classes: tuple[str, ...],
    shape: tuple[int, int, int],
    record: RunRecord,
) -> None:
    """Write model, classes, accuracies and record.

    The model has the batch-norm statistics of the record's headline. Every process must call this,
    because all processes share the passes that recompute them. A folder without a path writes no
    files.

    Args:
        folder: folder to write to.
        config: the run's configuration.
        outcome: the run after training.
        classes: names of the classes.
        shape: channels, height and width of the images.
        record: summary of the run.
    """
    method, recompute = outcome.method, record.statistics == "recomputed"
    with recomputed_statistics(method) if recompute else nullcontext():
        if folder.path is not None:
            kind, network = trained_part(method)
            mean, std, frozen = method.augment.mean, method.augment.std, method.context.frozen
            parts = (network.eval(), classes, shape, mean, std, config.network, kind, frozen)
            model = Model(*parts)
            write_atomic(folder.path / "model.safetensors", lambda draft: save_model(model, draft))
    if folder.path is not None:
        last = outcome.last_scores(record.statistics)
        write_classes(folder.path, classes, record.statistics, last, method.buffer)
    folder.json("accuracy.json", outcome.matrices)
    folder.json("summary.json", record)


def record_of(
    config: RunConfig, outcome: Outcome, device: torch.device, processes: int
) -> RunRecord:
    """Make the summary of a run.

    Args:
        config: the run's configuration.
        outcome: the run after training.
        device: the device it ran on.
        processes: number of processes. Each is assumed to do an equal share of the FLOPs.
    """
    matrices, method = outcome.matrices, outcome.method
    budget = outcome.loop.budget
    class_again, task_again = matrices.class_il_recomputed, matrices.task_il_recomputed
    statistics = config.settings.statistics if class_again else "trained"
    headline = class_again if class_again and statistics == "recomputed" else matrices.class_il
    last = outcome.last_scores(statistics)
    return RunRecord(
        method=config.method,
        label=config.label,
        variant=msgspec.to_builtins(config.variant.settings),
        epochs=None if method.traits.features == "only" else config.training.epochs,
        preset=config.preset,
        seed=config.seed,
        statistics=statistics,
        class_il=final_average(matrices.class_il),
        task_il=final_average(matrices.task_il),
        class_il_recomputed=final_average(class_again) if class_again else None,
        task_il_recomputed=final_average(task_again) if task_again else None,
        calibration=last.calibration,
        recency=last.recency,
        top5=mean(last.top5) if last.top5 else None,
        per_class=last.per_class,
        class_names=list(outcome.loop.stream.class_names[: len(last.confusion)]),
        uncounted=outcome.meter.missed("step"),
        operators_from=outcome.meter.operators.get("step"),
        warnings=method.warnings,
        wall_s=outcome.wall,
        steps=outcome.loop.steps,
        peak_bytes=peak_bytes(device),
        state_bytes=tensor_bytes(method.state_dict()),
        buffer_bytes=method.buffer.nbytes if method.buffer is not None else 0,
        params=sum(parameter.numel() for parameter in method.predictor.parameters()),
        settings=common_settings(config),
        online=outcome.loop.scoring.online_accuracy,
        area_under_accuracy=area_under_accuracy(matrices.anytime),
        task_flops=budget.spent if isinstance(budget, FlopBudget) else None,
        stream_seen=budget.share if isinstance(budget, RealTime) else None,
        matrices=matrices,
        **_pretrained(method),
        **_accuracy_measures(headline, matrices),
        **_costs(outcome, processes),
    )


def _pretrained(method: AnyMethod) -> dict[str, Any]:
    """Return what a run's backbone was trained on, and at which cost."""
    if (frozen := method.context.frozen) is None:
        return {}
    network = frozen.pretrained
    name = f"{network.name} ({network.trained_on}, {frozen.size} px)"
    return {"pretrained": name, "pretraining_flops": network.training_flops}


def _accuracy_measures(headline: list[list[float]], matrices: Matrices) -> dict[str, Any]:
    """Return the measures over the whole stream, in percent."""
    between = matrices.between
    return {
        "forgetting": forgetting(headline),
        "average_incremental": average_incremental(headline),
        "backward_transfer": backward_transfer(headline),
        "forward_transfer": forward_transfer(matrices.before or [], matrices.untrained or []),
        "forward_transfer_class_il": forward_transfer(
            matrices.before_class_il or [], matrices.untrained_class_il or []
        ),
        "minimum_accuracy": minimum_accuracy(matrices.class_il, between) if between else None,
        "stability_gap": stability_gap(matrices.class_il, between) if between else None,
    }


def _costs(outcome: Outcome, processes: int) -> dict[str, Any]:
    """Return FLOPs of all processes and seconds of this one, by phase."""
    flops = Counter({phase: processes * n for phase, n in outcome.meter.flops.items()})
    seconds = outcome.meter.seconds
    return {
        "training_flops": sum(flops[phase] for phase in TRAINING),
        "search_flops": flops["search"],
        "recompute_flops": flops["recompute"],
        "eval_flops": flops["evaluate"],
        "step_s": seconds["step"],
        "search_s": seconds["search"],
        "recompute_s": seconds["recompute"],
        "eval_s": seconds["evaluate"],
        "images_per_s": outcome.loop.images / max(seconds["step"], 1e-9),
    }


def common_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that runs of the same variant with other seeds share."""
    apart = {"method", "preset", "seed", "device", "evaluate_every", "prequential", *FREE}
    values = {name: value for name, value in flat(config).items() if name not in apart}
    if METHODS[config.method].method.traits.features == "only":  # it has no optimizer
        values = {n: v for n, v in values.items() if n not in (*fields(OptimizerConfig), "epochs")}
        values["optimizer"] = "closed form"
    plain = {n: str(v) if isinstance(v, list | tuple) else v for n, v in values.items()}
    if config.plugin:
        plain["plugin"] = ", ".join(f"{name} {sha[:12]}" for name, sha in config.plugin.items())
    return plain
