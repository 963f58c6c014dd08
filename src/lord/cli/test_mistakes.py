"""What is typed wrong, and the one line that answers it."""

import pytest

MISTAKES = [
    ("report . --port 80", "port: is for --watch"),
    ("report . --watch --port 70000", "port: expected 0 to 65535, got 70000"),
    ("report . --html --watch", "give one"),
    ("report gone --watch", "no such folder"),
    ("run --method lrod", "unknown method 'lrod' (did you mean 'lord'?)"),
    ("run --preset s-cifar", "unknown preset 's-cifar' (did you mean 's-cifar10'?)"),
    ("run --preset s-cifar10", "preset 's-cifar10' needs --data PATH"),
    ("run --epochs 0", "epochs: expected int >= 1, got 0"),
    ("run --epochs many", "epochs: expected a whole number, got 'many'"),
    ("run --epoch 3", "--epochs"),
    ("run --lr -1", "lr: expected float > 0.0, got -1.0"),
    ("run --precision fp61", "unknown value of precision 'fp61' (did you mean 'fp32'"),
    ("run --device cude", "unknown value of device 'cude' (did you mean 'cuda'?)"),
    ("run --tasks 11", "tasks: at most 10, the number of classes, got 11"),
    ("run --tasks 3", "tasks: must divide the 10 classes, got 3"),
    ("run --split 0,1/x", "split: expected class numbers such as 0,1/2,3, got '0,1/x'"),
    ("run --buffer 10", "buffer: holds 10, fewer than the 32 that replay draws"),
    ("run --set rho", "set: expected NAME=VALUE, such as rho=0.25, got 'rho'"),
    ("run --set rh=1", "unknown setting 'rh' (did you mean 'rho'?)"),
    ("run --method sgd --buffer 100", "sgd has no setting 'buffer'"),
    ("run --seed -1", "seed: expected a whole number from 0 to 2147483647, got -1"),
    ("learn images --state s --seed 99999999999999999999", "seed: expected"),
    ("run --buffer 2000000000", "out of memory: lower width, buffer, batch"),
    ("run --split=-1,0/1,2", "split: classes are 0 to 9, got -1"),
    ("run --config none.yaml", "cannot read the configuration 'none.yaml'"),
    ("run --data nowhere", "no data at 'nowhere': no such file or folder"),
    ("run --data .", "no data at '.': the folder is empty"),
    ("run --out /proc/1/x", "cannot write to '/proc/1/x'"),
    ("run --lr 1e30 --width 8 --threads 1 --method sgd", "the loss became"),
    ("compare --methods lord,err", "unknown method 'err' (did you mean 'er'?)"),
    (
        "compare --methods er,sgd --set rho=1",
        "er and sgd have no setting 'rho'; er has: statistics",
    ),
    ("compare --seeds 0", "seeds: expected a number >= 1, got 0"),
    ("compare --jobs -1", "jobs: expected a number >= 0, got -1"),
    ("compare --methods ,", "methods: expected names separated by commas, got ','"),
    ("run lord", "unexpected 'lord': settings are given as flags, such as --method lord"),
    ("run --epochs 1.5", "epochs: expected a whole number, got '1.5'"),
    ("compare --seeds 2.5", "seeds: expected a whole number, got '2.5'"),
    ("compare --methods er:epochs", "expected NAME=VALUE, such as rho=0.25, got 'epochs'"),
    ("compare --methods er:rho=1", "er has no setting 'rho'"),
    ("run --plugin gone.py", "plugin: no such file as 'gone.py'"),
    ("run --subset 0.8 --skip 0.3", "skip + subset + validation: at most 1 in all, got 0.3 + 0.8"),
    ("run --scenario turned", "unknown value of scenario 'turned'"),
    ("run --method x-der-rpc --scenario rotated", "x-der-rpc needs tasks of new classes only"),
    ("run --method lord --set merged=true", "draws: 1 where passes are merged, got 2"),
    ("ablate --method er", "unknown method 'er'"),
    ("ablate --study all", "unknown study 'all'"),
    ("report", "FOLDER"),
    ("report nothing", "no results at 'nothing': no such folder"),
    ("report .", "no finished run in '.'"),
    ("methods lrod", "unknown method 'lrod' (did you mean 'lord'?)"),
    ("data nowhere", "no data at 'nowhere'"),
    ("learnt", "learnt"),
    ("run --method", "--method"),
    ("run --split 0,1/2 --tasks 2", "split: spells the tasks out; leave --tasks and --order out"),
    ("run --set split=0,1/2 --tasks 2", "split: spells the tasks out; leave --tasks and --ord"),
    ("run --split 0,1/2 --scenario permuted", "split: is for tasks of new classes, not for perm"),
    ("run --nesterov", "nesterov: needs sgd and a momentum above 0, got sgd and 0"),
    ("run --epochs 1 --set epochs=2", "epochs: is given twice, as 1 and as 2"),
    ("run --set rho=1 --set rho=0.5", "rho: is given twice, as 1 and as 0.5"),
    ("run --method er:lr=1:lr=2", "lr is given twice in 'er:lr=1:lr=2'"),
    ("run --threads 100000", "threads: expected int <= 1024, got 100000"),
    ("run --out=", "--out: expected a value, got nothing"),
    (f"run --out {'x' * 300}", "File name too long"),
    (f"data {'x' * 300}", "File name too long"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_answered_in_one_line_with_exit_code_2(lord, line, said):
    code, _, error = lord(line)
    assert code == 2
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    assert said in error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: true", "seed: expected a whole number from 0 to 2147483647, got True"),
        ("buffer: .inf\npreset: s-cifar10\ndata: x", "buffer: expected int, got inf"),
        ("split: 0,1/x", "split: expected class numbers such as 0,1/2,3, got '0,1/x'"),
        ("preset: 5", "unknown preset '5'"),
        ("preset: [a]", "unknown preset '['a']'"),
        ("data: 2024-13-01", "is not YAML: month must be in 1..12"),
        ("epochs: 1\nepochs: 9", "epochs is given twice"),
        ("weight-decay: 1\nweight_decay: 2", "weight_decay is given twice"),
        ("lr: " + "[" * 3000, "is not YAML"),
        ("epochs 1", "must be lines of 'setting: value'"),
    ],
)
def test_a_wrong_configuration_file_is_answered_in_one_line(lord, tmp_path, text, said):
    (tmp_path / "own.yaml").write_text(text)
    code, _, error = lord(f"run --config {tmp_path / 'own.yaml'}")
    assert code == 2
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    assert said in error
