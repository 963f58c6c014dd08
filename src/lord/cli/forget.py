"""``lord forget``: forget pictures that a learner learned."""

from pathlib import Path

from lord.cli.console import say
from lord.cli.learner import warnings_printed
from lord.config import UserError, load_plugin

EXAMPLES = """
lord forget memory photos/week1/cat/3.jpg
lord forget memory to-forget/
"""


def forget(state: Path, /, *pictures: Path, plugin: Path | None = None) -> None:
    """Forget pictures that a learner learned, and everything it keeps of them.

    Pictures are found by their content. The sums of a closed-form head are then those of one that
    never learned them. The weights of a trained network may still reflect them. Later sessions
    leave them out.

    Parameters
    ----------
    state
        Folder of the learner.
    pictures
        Pictures, and folders with pictures at any depth.
    plugin
        Python file that registers methods or networks.
    """
    from lord.data import bad_table
    from lord.maintenance import forget_pictures

    if not pictures:
        raise UserError("names no picture", field="pictures", allowed="at least one")
    if plugin:
        load_plugin(plugin)
    with warnings_printed():
        learner, record, unknown = forget_pictures(state, pictures)
    for line in bad_table(unknown) if unknown else ():
        say(line)
    if record is None:
        say("nothing to forget: the learner forgot these pictures before")
        return
    names = ", ".join(f"{count} of '{name}'" for name, count in record.classes.items())
    say(f"{record.images} picture{'s' * (record.images != 1)} forgotten: {names}")
    if not record.exact:
        say(
            f"The weights of '{learner.config.method}' may still reflect them. For an exact "
            "result, make a new learner from the remaining pictures."
        )
