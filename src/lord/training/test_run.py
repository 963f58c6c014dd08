import importlib.util
import json
import re
import sys
from types import SimpleNamespace

import pytest
import torch

from lord.conftest import refused
from lord.data import DataConfig, load_images
from lord.evaluation import Scores, read_classes, read_record
from lord.learner import load_model
from lord.methods import METHODS, register
from lord.rehearsal import Buffer
from lord.storage import write_atomic
from lord.streams import StreamConfig, make_stream
from lord.training import compose, run
from lord.training.classes import write_classes

SMALL = {"epochs": 1, "width": 8, "threads": 1, "subset": 0.5}


@pytest.mark.parametrize("method", ["lord", "sgd", "joint"])
def test_a_run_writes_all_files(tmp_path, method):
    record = run(compose(method, SMALL), tmp_path / "run")
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [
        "accuracy.json",
        *(["buffer.png"] if method == "lord" else []),
        "classes.json",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
        "summary.json",
    ]
    assert read_record(tmp_path / "run") == record
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds.count("evaluate") == (1 if method == "joint" else 5)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["torch"] == torch.__version__


def test_a_buffer_without_images_has_no_picture(tmp_path):
    buffer = Buffer(4, torch.Generator())
    write_classes(tmp_path, ("a", "b"), "trained", Scores([50.0], [50.0], 0.0, None), buffer)
    assert read_classes(tmp_path).held is None
    buffer.offer(images=torch.rand(3, 1, 8, 8), labels=torch.tensor([0, 1, 1]))
    write_classes(tmp_path, ("a", "b"), "trained", Scores([50.0], [50.0], 0.0, None), buffer)
    assert read_classes(tmp_path).held is None
    assert not (tmp_path / "buffer.png").exists()


@pytest.mark.parametrize("statistics", ["trained", "recomputed"])
def test_the_saved_model_has_the_headline_accuracy(tmp_path, statistics):
    config = compose("lord", SMALL | {"statistics": statistics})
    record = run(config, tmp_path)
    model = load_model(tmp_path)
    stream = make_stream(load_images(DataConfig()), StreamConfig(), 0)
    accuracies = []
    for task in stream.test:
        right = model.predict(task.images).argmax(1) == task.labels
        accuracies.append(100 * right.float().mean().item())
    assert sum(accuracies) / 5 == pytest.approx(record.headline[0], abs=0.5)
    assert record.class_il != record.class_il_recomputed


def test_training_flops_are_the_sum_of_their_parts_and_of_known_size():
    sgd, er = run(compose("sgd", SMALL)), run(compose("er", SMALL))
    image = sgd.training_flops / (sgd.images_per_s * sgd.step_s)
    assert sgd.search_flops == sgd.recompute_flops == 0
    replayed = er.training_flops - er.recompute_flops - sgd.training_flops
    assert replayed == pytest.approx(image * 32 * (er.steps - 1))
    sizes = [
        len(task.labels) for task in make_stream(load_images(DataConfig()), StreamConfig(), 0).test
    ]
    # Before the first task, the network is as initialised and was scored as such.
    seen, unseen = sum(sum(sizes[: i + 1]) for i in range(5)), 2 * sum(sizes) - sizes[0]
    assert er.eval_flops == pytest.approx(sgd.eval_flops * (2 * seen + unseen) / (seen + unseen))


@pytest.mark.slow
def test_lord_costs_less_than_the_same_rehearsal_at_full_width():
    wide = SMALL | {"width": 32, "subset": 0.4}
    lord, derpp = run(compose("lord", wide | {"candidates": 8})), run(compose("der++", wide))
    assert lord.training_flops < 0.9 * derpp.training_flops
    assert 0 < lord.search_flops < lord.training_flops


def test_equal_seeds_give_equal_runs_and_others_do_not():
    short = SMALL | {"candidates": 8, "stop_after": 2}
    first, again, other = (run(compose("lord", short, seed=seed)) for seed in (1, 1, 2))
    assert first.matrices == again.matrices
    assert first.training_flops == again.training_flops
    assert first.matrices != other.matrices


@pytest.mark.slow
def test_bf16_learns_too():
    assert run(compose("der++", SMALL | {"precision": "bf16", "epochs": 2})).task_il > 80


def test_results_are_overwritten_only_on_request(tmp_path):
    run(compose("sgd", SMALL), tmp_path)
    before = (tmp_path / "summary.json").read_bytes()
    with refused("out", hint=re.compile("`overwrite`")):
        run(compose("er", SMALL), tmp_path)
    assert (tmp_path / "summary.json").read_bytes() == before
    run(compose("er", SMALL), tmp_path, overwrite=True)
    assert read_record(tmp_path).method == "er"


def test_a_loss_that_is_not_finite_stops_the_run_and_the_error_names_the_step(
    tmp_path,
):
    with refused(None, problem=re.compile(r"(nan|inf) at step \d+, in task 1")):
        run(compose("sgd", SMALL | {"lr": 1e30, "epochs": 9}), tmp_path)
    assert (tmp_path / "config.yaml").exists()
    assert not (tmp_path / "summary.json").exists()


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    run(compose("sgd", SMALL | {"threads": before + 1, "subset": 0.1, "stop_after": 1}))
    assert torch.get_num_threads() == before


def test_a_file_is_complete_or_absent(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail(draft):
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(tmp_path / "a", fail)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_colour_presets_refuse_grey_images():
    config = compose("sgd", {"data": "digits"}, preset="s-cifar10")
    with refused("preset"):
        run(config)


@pytest.mark.slow
def test_real_images_run_through_every_level(cifar10):
    config = compose(
        "lord",
        {"data": str(cifar10), "width": 4, "subset": 0.004, "epochs": 1, "candidates": 4}
        | {"buffer": 64, "threads": 1, "validation": 0.004},
        preset="s-cifar10",
    )
    record = run(config)
    assert [len(row) for row in record.matrices.class_il] == [1, 2, 3, 4, 5]
    assert record.params > 40_000


@pytest.mark.slow
def test_the_demo_has_the_documented_results():
    sgd, derpp, lord = (run(compose(m, {"threads": 1})) for m in ("sgd", "der++", "lord"))
    assert lord.class_il > sgd.class_il + 20
    assert lord.class_il > derpp.class_il - 6  # one of the three seeds of the demo
    assert lord.training_flops < 0.85 * derpp.training_flops


def test_evaluation_within_tasks_adds_only_the_stability_gap():
    plain = run(compose("er", SMALL | {"epochs": 2}))
    close = run(compose("er", SMALL | {"epochs": 2, "evaluate_every": 5}))
    assert plain.matrices.between == []
    assert plain.stability_gap is None
    assert len(close.matrices.between) == close.steps // 5
    for task, row in close.matrices.between:
        assert len(row) == task + 1
    assert close.stability_gap is not None
    assert close.class_il == plain.class_il
    assert close.training_flops == plain.training_flops
    assert close.eval_flops > plain.eval_flops


@pytest.mark.slow
def test_forward_transfer_is_positive_for_similar_tasks():
    turned = run(compose("er", SMALL | {"epochs": 2, "lr": 0.1}, preset="rotated-digits"))
    assert len(turned.matrices.before) == len(turned.matrices.untrained) == 10
    assert turned.forward_transfer > 10
    assert turned.forward_transfer_class_il == turned.forward_transfer  # tasks share all classes
    assert turned.recency is None
    assert 0 <= turned.calibration <= 100


def test_class_incremental_tasks_have_no_forward_transfer_in_class_il(tmp_path):
    """Before a task, its classes were never the answer, so they are hardly ever predicted."""
    record = run(compose("er", SMALL | {"epochs": 2}), tmp_path)
    matrices = record.matrices
    changes = [
        before - initial
        for before, initial in zip(
            matrices.before_class_il, matrices.untrained_class_il, strict=True
        )
    ]
    assert changes[0] == 0
    assert record.forward_transfer_class_il == pytest.approx(sum(changes[1:]) / 4)
    assert record.forward_transfer_class_il < record.forward_transfer
    assert record.class_names == [str(label) for label in range(10)]
    confusion = torch.tensor(read_classes(tmp_path).confusion)
    assert record.per_class == pytest.approx((100 * confusion.diag() / confusion.sum(1)).tolist())
    assert record.class_il < record.top5 <= 100
    old = {
        name: value
        for name, value in json.loads((tmp_path / "summary.json").read_text()).items()
        if name not in ("top5", "per_class", "class_names", "forward_transfer_class_il")
    }
    old["matrices"] = {name: old["matrices"][name] for name in ("class_il", "task_il", "before")}
    (tmp_path / "summary.json").write_text(json.dumps(old))
    assert read_record(tmp_path).per_class is None


def test_figures_go_to_tensorboard_too(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
        EventAccumulator,
    )

    record = run(compose("er", SMALL), tmp_path, track="tensorboard")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    names = events.Tags()["tensors"] + events.Tags()["scalars"]
    assert {"loss", "class_il", "task_il"} <= set(names)
    assert record.class_il >= 0


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(tmp_path, kind):
    if importlib.util.find_spec(kind):
        pytest.skip(f"{kind} is installed")
    (tmp_path / "model.safetensors").write_text("older")
    with refused("track", given=kind):
        run(compose("er", SMALL), tmp_path, track=kind, overwrite=True)
    assert (tmp_path / "model.safetensors").exists()


def test_a_tracker_that_fails_is_named_in_one_line(tmp_path, monkeypatch):
    def start_run(run_name):
        raise ConnectionError("no server at 127.0.0.1\nmore of it")

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(start_run=start_run))
    with refused("track", problem="mlflow failed: no server at 127.0.0.1"):
        run(compose("er", SMALL), tmp_path, track="mlflow")


def test_a_resumed_run_has_the_threads_of_its_start(tmp_path):
    seen = []

    class Counting(METHODS["sgd"].method):
        name = "counting"

        def step(self, batch, progress):
            seen.append(torch.get_num_threads())
            if len(seen) == 5:
                raise KeyboardInterrupt
            return super().step(batch, progress)

    config = compose(register(Counting).name, {"epochs": 1, "width": 4, "checkpoint_every": 0})
    try:
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path)
        torch.set_num_threads(2)
        run(config, tmp_path, resume=True)
    finally:
        torch.set_num_threads(1)
        METHODS.pop("counting")
    assert set(seen) == {1}
