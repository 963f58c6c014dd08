"""Commands as typed, and the mistakes a newcomer makes."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import get_type_hints

import pytest
from PIL import Image

from lord.cli.flags import settings
from lord.cli.main import GROUPS, app
from lord.config import fields
from lord.config.field import docstrings
from lord.evaluation import read_record
from lord.methods.method import BufferConfig
from lord.training.sections import SECTIONS

QUICK = "--epochs 1 --subset 0.2 --width 8 --threads 1 --set lord.candidates=8"


def test_a_first_run_needs_nothing_and_says_where_its_results_are(lord, tmp_path):
    code, out, _ = lord(f"run {QUICK}")
    assert code == 0
    assert "results are in runs/digits-lord-seed0" in out
    assert "Class-IL" in out
    assert read_record(tmp_path / "runs" / "digits-lord-seed0").method == "lord"


def test_a_run_is_repeated_from_its_own_configuration(lord, tmp_path):
    lord(f"run {QUICK} --method der++ --seed 3 --quiet --set alpha=0.3 --out a")
    code, _, _ = lord("run --config a/config.yaml --quiet --out b")
    assert code == 0
    first, again = read_record(tmp_path / "a"), read_record(tmp_path / "b")
    assert first.matrices == again.matrices
    assert again.settings["alpha"] == 0.3
    assert (again.method, again.seed) == ("der++", 3)


def test_flags_come_before_the_file_and_the_file_before_presets(lord, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "method: er\nepochs: 1\nwidth: 8\nbuffer: 64\nweight-decay: 1e-3\n"
    )
    lord("run --config c.yaml --buffer 96 --quiet --out a --threads 1")
    record = read_record(tmp_path / "a")
    assert (record.method, record.settings["buffer"], record.preset) == ("er", 96, "digits")
    assert "weight_decay: 0.001" in (tmp_path / "a" / "config.yaml").read_text()
    for text in ("lr: 0.1\ner.lr: 0.2\n", "er.lr: 0.2\nlr: 0.1\n"):
        (tmp_path / "c.yaml").write_text(text)
        for flag, wanted in (("", 0.2), ("--lr 0.5", 0.5), ("--set er.lr=0.7", 0.7)):
            line = f"run --method er --config c.yaml {flag} --width 4 --subset 0.1 --stop-after 1"
            assert lord(f"{line} --quiet --overwrite --out a")[0] == 0
            assert f"lr: {wanted}\n" in (tmp_path / "a" / "config.yaml").read_text()


def test_what_is_typed_comes_before_a_variant_in_the_file(lord, tmp_path):
    assert lord("run --method er:epochs=2:replay=16 --width 4 --quiet --threads 1 --out a")[0] == 0
    line = "run --config a/config.yaml --epochs 1 --quiet --out b"
    assert lord(line)[0] == 0
    record = read_record(tmp_path / "b")
    assert (record.label, record.epochs, record.settings["replay"]) == ("er:replay=16", 1, 16)


def test_a_setting_typed_for_one_method_comes_before_its_variant_in_the_file(lord, tmp_path):
    (tmp_path / "c.yaml").write_text("method: lord:rho=0.25\nepochs: 1\nwidth: 4\n")
    line = "run --config c.yaml --set lord.rho=0.5 --stop-after 1 --threads 1 --quiet --out a"
    assert lord(line)[0] == 0
    assert read_record(tmp_path / "a").settings["rho"] == 0.5


def test_a_flag_that_is_none_comes_before_the_file(lord, tmp_path):
    (tmp_path / "c.yaml").write_text("method: sgd\nflops_per_task: 1e9\nepochs: 1\nwidth: 4\n")
    line = "run --config c.yaml --stop-after 1 --threads 1 --quiet --out"
    assert lord(f"{line} a --flops-per-task none")[0] == 0
    assert lord(f"{line} b")[0] == 0
    written = [(tmp_path / name / "config.yaml").read_text() for name in "ab"]
    assert ["flops_per_task: null\n" in text for text in written] == [True, False]


def test_a_number_of_tasks_contradicts_a_file_with_their_classes(lord, tmp_path):
    (tmp_path / "c.yaml").write_text("split: 7,1/0,2\ntasks: 5\nepochs: 1\nwidth: 4\n")
    code, _, error = lord("run --method sgd --config c.yaml --tasks 5 --out a")
    assert code == 2
    assert "--split: '7,1/0,2' already says the tasks" in error


def test_a_file_may_give_classes_of_tasks_as_they_are_typed(lord, tmp_path):
    (tmp_path / "c.yaml").write_text("split: 7,1/0,2\nmethod: sgd\nepochs: 1\nwidth: 4\n")
    assert lord("run --config c.yaml --quiet --threads 1 --out a")[0] == 0
    again = (tmp_path / "a" / "config.yaml").read_text()
    assert "split:\n- - 7\n  - 1\n- - 0\n  - 2\n" in again


@pytest.mark.slow
def test_a_terminal_without_unicode_shows_tables(tmp_path):
    line = f"run --method sgd {QUICK.partition(' --set')[0]} --out {tmp_path / 'a'}"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    for words in (line.split(), ["report", str(tmp_path / "a")]):
        done = subprocess.run([sys.executable, "-m", "lord", *words], env=environment, check=False)
        assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_that_is_full_is_answered_in_a_line():
    words = [sys.executable, "-m", "lord", "methods", "er"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode
    assert "Traceback" not in done.stderr


def test_a_file_that_lord_did_not_write_is_not_replaced(lord, tmp_path):
    assert lord("run --method sgd --epochs 1 --width 4 --quiet --threads 1 --out c/a")[0] == 0
    for name, line in [
        ("c/report.html", "report c --html"),
        ("bench.json", "bench --methods er --steps 1 --task 1 --width 4 --out bench.json"),
        ("d/study.json", "compare --methods sgd --seeds 1 --epochs 1 --width 4 --out d"),
        ("e/accuracy.json", "run --method sgd --epochs 1 --width 4 --out e"),
        ("f/environment.json", "run --method sgd --epochs 1 --width 4 --out f"),
        ("g/checkpoint.safetensors", "run --method sgd --epochs 1 --width 4 --out g"),
        ("h/error.json", "run --method sgd --epochs 1 --width 4 --out h"),
        ("i/model.safetensors", "run --method sgd --epochs 1 --width 4 --overwrite --out i"),
    ]:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
        code, _, error = lord(line)
        assert (code, len(error.strip().splitlines())) == (2, 1)
        assert file.name in error
        assert file.read_text() == "mine"


def test_a_comparison_leaves_a_table_and_pictures_and_report_makes_them_again(lord, tmp_path):
    code, out, _ = lord(f"compare --methods sgd,er --seeds 0,7 {QUICK} --out c")
    assert code == 0
    assert "er-seed7: Class-IL" in out
    assert "The page with tables and pictures is c/README.md." in out
    assert out.rstrip().splitlines()[-1].endswith(".")  # what the comparison showed
    table = (tmp_path / "c" / "README.md").read_text()
    assert "| sgd | 2 |" in table
    (tmp_path / "c" / "README.md").unlink()
    code, _, _ = lord("report c")
    assert code == 0
    assert (tmp_path / "c" / "README.md").read_text() == table
    _, out, _ = lord(f"compare --methods sgd,er --seeds 1 {QUICK} --out c")
    assert "2 more finished runs are in c; 'lord report c' includes them." in out


@pytest.mark.slow
def test_variants_of_a_method_are_compared_side_by_side(lord, tmp_path):
    methods = "er,er:epochs=2:replay=16,narrow=er:width=4"
    code, _, error = lord(f"compare --methods {methods} --seeds 1 {QUICK} --out v")
    assert code == 0, error
    names = ("er", "er,epochs=2,replay=16", "narrow")
    plain, thin, narrow = (read_record(tmp_path / "v" / f"{name}-seed0") for name in names)
    assert (plain.epochs, thin.epochs, thin.settings["replay"]) == (1, 2, 16)
    assert (narrow.label, narrow.method, narrow.settings["width"]) == ("narrow", "er", 4)
    page = (tmp_path / "v" / "README.md").read_text()
    assert "| narrow | 1 |" in page
    assert f"    lord compare --methods {methods} --seeds 1" in page


@pytest.mark.slow
def test_the_example_method_runs_beside_ours_and_counts_its_extra_pass(lord, tmp_path):
    example = Path(__file__).parents[3] / "examples" / "hard_er.py"
    assert len(example.read_text().splitlines()) < 60
    line = (
        f"compare --plugin {example} --methods hard-er,er,hard-er:pool=32 --seeds 1 {QUICK} --out p"
    )
    code, _, error = lord(line)
    assert code == 0, error
    names = ("hard-er", "er", "hard-er,pool=32")
    hard, plain, small = (read_record(tmp_path / "p" / f"{name}-seed0") for name in names)
    assert hard.training_flops > small.training_flops > plain.training_flops


@pytest.mark.slow
def test_the_example_that_adjusts_by_expected_shares_runs(lord, tmp_path):
    example = Path(__file__).parents[3] / "examples" / "expected_shares.py"
    given = f"--set distill=0 --set admission=0 --set tau=1 --seeds 1 {QUICK} --out p"
    code, _, error = lord(f"compare --plugin {example} --methods lord,lord-expected {given}")
    assert code == 0, error
    plain, ours = (read_record(tmp_path / "p" / f"{n}-seed0") for n in ("lord", "lord-expected"))
    assert ours.training_flops == plain.training_flops
    assert ours.matrices.class_il != plain.matrices.class_il


@pytest.mark.slow
def test_an_ablation_compares_with_the_whole_method(lord, tmp_path):
    code, _, error = lord(f"ablate --method lord+ --study rehearsal --seeds 1 {QUICK} --out a")
    assert code == 0, error
    page = (tmp_path / "a" / "README.md").read_text()
    assert "## Compared with lord+\n" in page
    assert "rho 0.5" in page


def test_methods_are_listed_and_one_is_explained(lord):
    _, out, _ = lord("methods")
    assert all(name in out for name in ("lord", "der++", "er", "sgd", "joint", "s-tinyimg"))
    _, out, _ = lord("methods lord")
    assert "rho = 1.0\n" in out
    assert "Probability that the buffer is replayed at a step. (a number from 0 to 1)" in out
    assert "s-tinyimg" in out  # published values
    _, out, _ = lord("methods lord+")
    assert "tau = 1.0\n" in out
    assert "Other defaults of lord+: optimizer muon" in out


def test_data_describes_images(lord, photos):
    code, out, _ = lord(f"data {photos}")
    assert code == 0
    assert "8 x 8, colour" in out
    assert "18 images, 6 to 6 a class" in out
    assert "3: ant, bee, cat" in out


def test_data_finds_test_images_among_the_training_images(lord, photos):
    image = Image.open(photos / "train" / "ant" / "00.png")
    image.save(photos / "test" / "ant" / "copy.png")
    _, out, _ = lord(f"data {photos}")
    assert "test images also in train │ 1" in out


def test_help_has_examples_and_is_quick():
    environment = os.environ | {"COLUMNS": "80"}
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "lord", "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        times.append(time.perf_counter() - start)
    assert "lord compare --methods" in done.stdout
    assert min(times) < 5  # torch alone would take about two; half a second is measured elsewhere


@pytest.mark.parametrize("module", sum(GROUPS.values(), ()), ids=lambda module: module.__name__)
def test_a_commands_help_shows_its_examples_which_can_be_typed(lord, module):
    function = module.__name__.rpartition(".")[2]
    command = function.rstrip("_")
    lines = module.EXAMPLES.strip().splitlines()
    code, out, _ = lord(f"{command} --help")
    assert code == 0
    for line in lines:
        assert line.startswith(f"lord {command}")
        assert line in out
        parsed, _, _ = app.parse_args(line.split()[1:], exit_on_error=False, print_error=False)
        assert parsed is getattr(module, function)


def test_each_setting_of_a_run_has_a_flag_with_its_type_and_default():
    known = {each.name: each for _, each in settings()}
    for config in (*SECTIONS.values(), BufferConfig):
        kinds, documented = get_type_hints(config, include_extras=True), docstrings(config)
        for name in fields(config):
            assert known[name].kind == kinds[name]
            assert known[name].about == documented[name] != ""
            assert known[name].default == getattr(config(), name)
    assert len(known) == sum(len(fields(each)) for each in (*SECTIONS.values(), BufferConfig))


def test_a_methods_description_is_broken_where_the_terminal_ends(lord, monkeypatch):
    monkeypatch.setattr("lord.cli.console.console.width", 60)
    _, out, _ = lord("methods esmer")
    lines = out.partition("\nstatistics = ")[0].splitlines()
    assert lines.count("") <= 2
    assert all(len(line) > 40 for line in lines[:-1] if line and not line.endswith((".", ". ")))


def test_results_are_kept_unless_overwritten(lord):
    assert lord(f"run {QUICK} --quiet --out a")[0] == 0
    code, _, error = lord(f"run {QUICK} --quiet --out a")
    assert code == 2
    assert "--out: 'a'" in error
    assert "--overwrite" in error
    assert lord(f"run {QUICK} --quiet --out a --overwrite")[0] == 0


def test_a_mistake_costs_no_results(lord, tmp_path):
    lord(f"run {QUICK} --quiet --out a")
    before = (tmp_path / "a" / "summary.json").read_bytes()
    for wrong in ("--data nowhere", "--tasks 3", "--lr -1"):
        assert lord(f"run {wrong} --out a --overwrite")[0] == 2
    assert (tmp_path / "a" / "summary.json").read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_bar_a_task_and_a_pipe_a_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "lord",
        "run",
        *("--method", "er", "--width", "8", "--threads", "1", "--epochs", "3"),
        "--out",
    ]
    main_end, other_end = os.openpty()
    shown = subprocess.Popen([*command, str(tmp_path / "a")], stdout=other_end, stderr=other_end)
    os.close(other_end)
    seen = b""
    while True:
        try:
            read = os.read(main_end, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        seen += read
    os.close(main_end)
    assert shown.wait(timeout=60) == 0
    assert b"task 5 of 5" in seen
    assert b"images/s" in seen
    assert b"after task 1: Class-IL" in seen
    piped = subprocess.run([*command, str(tmp_path / "b")], capture_output=True, check=True)
    assert b"task 5 of 5: 100 %" in piped.stderr
    assert b"task 5 of 5" not in piped.stdout
