import shutil
from pathlib import Path


def test_data_shows_the_sizes_of_tasks_that_a_plugin_gives(lord, tmp_path):
    (tmp_path / "two.py").write_text(
        "import lord\nimport numpy as np\n"
        "x, y = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 2\n"
        "tasks = [((x, y), (x, y)), ((x[:4], y[:4]), (x[:2], y[:2]))]\n"
        "lord.register_stream('two-domains', lambda: lord.images_by_task(tasks), tasks=2)\n"
    )
    _, out, _ = lord("data two-domains --plugin two.py")
    assert "6 + 6, 4 + 2" in out


def test_a_folder_of_data_sets_is_not_taken_for_classes(lord, photos):
    for name in ("a", "b"):
        shutil.copytree(photos, Path("all") / name)
    code, _, error = lord("data all")
    assert code == 2
    assert "name one of its data sets, such as 'all/a'" in error


def test_a_class_name_with_a_line_break_is_shown_in_one_line(lord, photos):
    first = min((photos / "train").iterdir())
    first.rename(first.with_name("line\nbreak"))
    _, out, _ = lord(f"data {photos / 'train'}")
    assert r"'line\nbreak'" in out
