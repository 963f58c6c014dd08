"""Mistakes, and the one line that answers each of them."""

import pytest

from lord.cli.main import main

MISTAKES = [  # a line, and what its answer contains: the flag, the value given, what is allowed
    ("report . --port 80", "--port", "80", "--watch"),
    ("report . --watch --port 70000", "--port", "70000", "65535"),
    ("report . --html --watch", "--watch", "--html"),
    ("report gone --watch", "FOLDER", "'gone'"),
    ("report", "FOLDER"),
    ("report nothing", "FOLDER", "'nothing'"),
    ("report .", "FOLDER", "'.'", "no finished run"),
    ("report here.py", "FOLDER", "'here.py' is a file", "a folder"),
    ("run --method lrod", "--method", "'lrod'", "did you mean 'lord'?"),
    ("run --preset s-cifar", "--preset", "'s-cifar'", "did you mean 's-cifar10'?"),
    ("run --preset s-cifar10", "--data", "'s-cifar10'"),
    ("run --epochs 0", "--epochs", "'0'", "an integer, at least 1"),
    ("run --epochs many", "--epochs", "'many'", "an integer"),
    ("run --epochs 1.5", "--epochs", "'1.5'", "an integer"),
    ("run --epoch 3", "--epochs"),
    ("run --lr -1", "--lr", "'-1'", "above 0"),
    ("run --precision fp61", "--precision", "'fp61'", "did you mean 'fp32'?"),
    ("run --device cude", "--device", "'cude'", "did you mean 'cuda'?"),
    ("run --tasks 11", "--tasks", "11", "at most 10"),
    ("run --tasks 3", "--tasks", "3", "--split"),
    ("run --split 0,1/x", "--split", "'0,1/x' has the class 'x'"),
    ("run --split=-1,0/1,2", "--split", "-1", "0 to 9"),
    ("run --split 0,1/2 --tasks 2", "--split", "--tasks"),
    ("run --set split=0,1/2 --tasks 2", "--split", "--tasks"),
    ("run --split 0,1/2 --scenario permuted", "--split", "'permuted'", "--scenario"),
    ("run --buffer 10", "--buffer", "10", "--replay"),
    ("run --width 1000000", "out of memory", "width"),
    ("run --set rho", "--set", "'rho'", "NAME=VALUE"),
    ("run --set rh=1", "--set rh", "did you mean 'rho'?"),
    ("run --set every=2", "--set every", "2", "removed after version 0.1"),
    ("run --set rho=1 --set rho=0.5", "--set rho", "twice"),
    ("run --epochs 1 --set epochs=2", "--epochs", "twice"),
    ("run --seed 1 --set seed=2", "--seed: '2' cannot be given with --set"),
    ("run --set preset=digits", "--preset", "'digits'", "use --preset"),
    ("learn . --state s --resize 8 --set resize=4", "--resize", "'4'", "use --resize"),
    ("run --out here.py --epochs 1", "'here.py' is a file", "a folder"),
    ("learn here.png --state s", "'here.png' is one image", "a folder", "CLASS"),
    ("run --method sgd --buffer 100", "--buffer", "sgd"),
    ("run --method er:lr=1:lr=2", "--lr", "twice"),
    ("run --method lord --set merged=true", "--set draws", "2", "--set merged"),
    (
        "run --method x-der-rpc --scenario rotated --subset 0.1 --width 4 --quiet",
        "x-der-rpc",
        "new classes",
    ),
    ("run --seed -1", "--seed", "'-1'", "at least 0"),
    ("run --config none.yaml", "'none.yaml'"),
    ("run --data nowhere", "'nowhere'"),
    ("run --data .", "'.'"),
    ("run --out /proc/1/x", "'/proc/1/x'"),
    ("run --lr 1e30 --width 8 --threads 1 --method sgd", "--lr", "the loss became"),
    ("run lord", "unexpected 'lord'", "--method lord"),
    ("run --plugin gone.py", "--plugin", "'gone.py'"),
    ("run --subset 0.8 --skip 0.3", "--subset", "--skip", "1.1"),
    ("run --scenario turned", "--scenario", "'turned'"),
    ("run --nesterov", "--nesterov", "--momentum"),
    ("run --method", "--method"),
    ("run --threads 100000", "--threads", "100000", "1024"),
    ("run --out=", "--out", "nothing"),
    (f"run --out {'x' * 300}", "File name too long"),
    ("compare --methods lord,err", "--methods", "'err'", "did you mean 'er'?"),
    ("compare --methods er,sgd --set rho=1", "--set rho", "er or sgd"),
    ("compare --methods er:epochs", "--methods", "'epochs'", "NAME=VALUE"),
    ("compare --methods er:rho=1", "rho", "er", "replay"),
    ("compare --methods sgd=er", "'sgd'", "the name of a method"),
    ("compare --methods a=er,a=er:replay=16", "--methods", "called 'a'"),
    ("compare --methods ,", "--methods", "','"),
    ("compare --seeds 0", "--seeds", "'0'", "at least 1"),
    ("compare --seeds 2.5", "--seeds", "'2.5'"),
    ("compare --seeds 7,8,7", "--seeds", "'7,8,7'", "no seed twice"),
    ("compare --seeds 7,x", "--seeds", "'x'"),
    ("compare --jobs -1", "--jobs", "'-1'"),
    ("compare --address 1.2.3.4:5", "--address", "'1.2.3.4:5'", "--engine"),
    ("ablate --method er", "--method", "'er'", "lord+", "--variants"),
    ("ablate --method er --variants replay=16,replay=16", "--variants", "different"),
    ("ablate --method er --variants replay", "--variants", "'replay'", "NAME=VALUE"),
    ("ablate --variants rho=1 --study rehearsal", "--variants", "--study"),
    ("ablate --study all", "--study", "'all'", "rehearsal"),
    ("learn images --state s --seed 99999999999999999999", "--seed", "below 2147483648"),
    ("predict gone a.png", "STATE", "'gone' does not exist", "'lord learn' makes it"),
    ("methods lrod", "NAME", "'lrod'", "did you mean 'lord'?"),
    ("data nowhere", "'nowhere'"),
    (f"data {'x' * 300}", "File name too long"),
    ("learnt", "learnt"),
]


def check_one_line(error, *parts):
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    for part in parts:
        assert part in error


@pytest.mark.parametrize("mistake", MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_a_mistake_is_answered_in_one_line_with_exit_code_2(lord, mistake, tmp_path):
    line, *parts = mistake
    for name in {"here.py", "here.png"} & set(line.split()):
        (tmp_path / name).touch()
    code, _, error = lord(line)
    assert code == 2
    check_one_line(error, *parts)


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("seed: true", "--seed", "True"),
        ("buffer: .inf\npreset: s-cifar10\ndata: x", "--buffer", "inf"),
        ("split: 0,1/x", "--split", "'0,1/x'"),
        ("preset: 5", "--preset", "'5'"),
        ("preset: [a]", "--preset", "['a']"),
        ("data: 2024-13-01", "", "is not valid YAML: month must be in 1..12"),
        ("epochs: 1\nepochs: 9", "epochs", "is given twice"),
        ("weight-decay: 1\nweight_decay: 2", "weight_decay", "is given twice"),
        ("lr: " + "[" * 3000, "", "is not valid YAML"),
        ("epochs 1", "", "is not a mapping"),
        ("method: 7", "--method", "7"),
    ],
)
def test_a_wrong_configuration_file_is_answered_in_one_line(lord, tmp_path, text, field, said):
    (tmp_path / "own.yaml").write_text(text)
    code, _, error = lord(f"run --config {tmp_path / 'own.yaml'}")
    assert code == 2
    check_one_line(error, field, said)


def test_an_empty_argument_is_named_by_its_number(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["class", "rename", "memory", "0", ""])
    assert stop.value.code == 2
    check_one_line(capsys.readouterr().err, "argument 5 is empty")


def test_a_method_named_twice_is_refused(lord):
    code, _, error = lord("compare --methods er,sgd,er")
    assert code == 2
    assert error == (
        "error: --methods: 'er,sgd,er' names er twice; name it once; --seeds sets how often each "
        "runs\n"
    )


def test_a_report_is_of_one_kind(lord):
    code, _, error = lord("report . --html --against er")
    assert (code, error) == (
        2,
        "error: --html: cannot be combined with --against; give one of them\n",
    )


def test_classes_of_tasks_are_read_where_pydantic_is_imported(lord):
    pytest.importorskip("pydantic", reason="pydantic is not installed")
    code, _, error = lord("run --split 0,1/2 --tasks 2")
    assert code == 2
    assert "already says the tasks" in error
