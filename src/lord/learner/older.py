"""Readers of learners' states that earlier versions wrote."""

from collections.abc import Mapping
from typing import Any

from lord.config import UserError
from lord.methods import RETIRED

PACE = 2.0
"""The pace of ``lord+`` in version 0.1."""


def upgraded(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a learner's state, under today's names.

    Version 0.1 wrote "exam" for held-out images and their accuracy, and "course" for the session
    that has not ended. A learner with ``lord+`` of that version keeps its pace.

    Raises:
        UserError: if the learner was made with a setting that no longer exists, and not with its
            default.
    """
    config = dict(state["config"])
    config["settings"] = _without_retired(config["settings"])
    method = state.get("method")
    if method and config.get("method") == "lord+" and "images_seen" not in method:
        config["settings"] = {"pace": PACE} | config["settings"]
    if "exam" not in state:
        return {**state, "config": config}
    held_out, opened = state["exam"], state["course"]
    return {
        **{name: value for name, value in state.items() if name not in ("exam", "course")},
        "config": config,
        "sessions": [_session(each) for each in state["sessions"]],
        "held_out": {"columns": held_out["columns"], "learned": held_out["spent"]},
        "open": opened and _open_session(opened),
    }


def _session(session: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in session.items() if name != "exam"}
    return {**rest, "held_out": session["exam"]}


def _open_session(course: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: course[name] for name in ("total", "done", "spent", "threads")}
    return {
        **same,
        "session": _session(course["session"]),
        "fingerprint": course["given"],
        "cursor": {"order": course["order"], "place": course["place"]},
        "planned": course["settled"],
    }


def _without_retired(settings: Mapping[str, Any]) -> dict[str, Any]:
    for name, default in RETIRED.items():
        if name in settings and float(settings[name]) != float(default):
            raise UserError(
                "the learner was made with this setting, which no longer exists",
                field=name,
                given=settings[name],
                hint="version 0.1.0 of lord-cl reads it",
            )
    return {name: value for name, value in settings.items() if name not in RETIRED}
