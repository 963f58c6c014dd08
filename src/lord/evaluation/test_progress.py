import os

from lord.evaluation import forget_failure, read_failure, state_of, write_failure
from lord.storage import locked


def test_a_run_is_running_as_long_as_a_process_holds_its_lock(tmp_path):
    with locked(tmp_path, "running"):
        assert state_of(tmp_path) == "running"
    assert state_of(tmp_path) == "stopped"


def test_a_killed_run_leaves_its_lock_file_and_has_stopped(tmp_path):
    run = tmp_path / "er-seed0"
    run.mkdir()
    (run / "lock").touch()
    with locked(tmp_path, "comparing"):  # although the comparison goes on
        assert state_of(run) == "stopped"


def test_a_run_on_a_cluster_is_running_while_its_comparison_is(tmp_path):
    run = tmp_path / "er-seed0"
    run.mkdir()
    with locked(tmp_path, "comparing"):
        assert state_of(run) == "running"
        write_failure(run, "training diverged")
        assert (state_of(run), read_failure(run)) == ("failed", "training diverged")
        forget_failure(run)
        assert (state_of(run), read_failure(run)) == ("running", None)
    assert state_of(run) == "stopped"


def test_a_damaged_error_file_counts_as_none(tmp_path):
    (tmp_path / "error.json").write_text("{")
    assert read_failure(tmp_path) is None
    os.truncate(tmp_path / "error.json", 0)
    assert state_of(tmp_path) == "stopped"
