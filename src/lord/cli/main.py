"""The ``lord`` command: run what is typed, and answer each mistake with one line."""

import io
import os
import sys
import traceback

from cyclopts import CycloptsError, Group, UnusedCliTokensError

from lord.cli import (
    ablate,
    bench,
    check,
    class_,
    compare,
    data,
    drift,
    evaluate,
    export,
    forget,
    inspect,
    learn,
    methods,
    predict,
    report,
    run,
    serve,
    suggest,
    tune,
    undo,
    watch,
)
from lord.cli.console import print_error
from lord.cli.flags import NONE, TYPED, check_not_empty
from lord.cli.naming import MODULES, app, namer
from lord.config import PARENT, LostError, UserError, in_plugin, where_in_plugin

GROUPS = {
    "Learn": (learn, watch, data),
    "Look after a learner": (inspect, evaluate, suggest, drift, undo, class_, forget),
    "Predict and serve": (predict, export, serve),
    "Compare, tune, report": (run, compare, ablate, tune, report, methods),
    "The machine": (check, bench),
}
"""The commands, each in a file of its name, as 'lord --help' groups them."""
FIRST = """
lord learn photos/week1 --state memory
lord predict memory photos/new
lord compare --methods sgd,er,lord+
lord learn --help
"""


def examples(text: str) -> str:
    """The end of a help page, in Markdown. Two spaces end a line."""
    return "  \n".join(["Examples:", "", *text.strip().splitlines()])


app.help_epilogue = examples(FIRST)
for place, (title, modules) in enumerate(GROUPS.items()):
    group = Group(title, sort_key=place)
    for module in modules:
        function = module.__name__.rpartition(".")[2]
        MODULES[name := function.rstrip("_")] = module
        about = examples(module.EXAMPLES)
        app.command(getattr(module, function), name, group=group, help_epilogue=about)


def main(arguments: list[str] | None = None) -> None:
    """Run the command. A mistake ends with one line on standard error and exit code 2.

    An error with a code of its class ends with that code. An exception in a plug-in ends with one
    line, the traceback and exit code 1.
    """
    # Threads that spin as they wait stall other work. Never to spin costs a third of a small step.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    TYPED[:] = sys.argv[1:] if arguments is None else arguments
    NONE.clear()
    try:
        check_not_empty(TYPED)
        app(TYPED, exit_on_error=False, print_error=False)
    except BrokenPipeError:  # such as 'lord methods | head'
        sys.stderr.close()
        sys.exit(1)
    except KeyboardInterrupt as stop:
        print_error(str(stop) or "interrupted")
        sys.exit(130)
    except Exception as error:
        text = _answer(error)
        if text is None:
            raise
        ours = isinstance(error, UserError | CycloptsError) and not isinstance(error, LostError)
        cause = _raised_by_plugin(error)
        if not ours or os.environ.get("RANK", "0") == "0":  # of several processes, one prints
            print_error(text)
            if cause:
                traceback.print_exception(cause)
        sys.exit(1 if cause else error.code if isinstance(error, UserError) else 2)


def _raised_by_plugin(error: Exception) -> BaseException | None:
    """Return the exception that a plug-in's code raised; None if it raised none."""
    cause = error.__cause__ if isinstance(error, UserError) else error
    if cause is None or isinstance(cause, UserError | CycloptsError):
        return None
    return cause if where_in_plugin(cause) or _is_defect(error) else None


def _is_defect(error: Exception) -> bool:
    """Whether an error is not one that the user can put right."""
    known = isinstance(error, UserError | CycloptsError | OSError | MemoryError)
    return not known and "can't allocate memory" not in str(error)


def _answer(error: Exception) -> str | None:
    """The line that answers an error; None for a defect of this package."""
    if isinstance(error, UnusedCliTokensError):
        word = (error.unused_tokens or ["?"])[0]
        return f"unexpected '{word}': settings are given as flags, such as --method lord"
    if isinstance(error, UserError):
        named = str(error) if PARENT in os.environ else error.worded(namer(TYPED[:1]))
        text = " ".join(named.split())
        where = error.__cause__ and where_in_plugin(error.__cause__)
        return f"{text} ({where})" if where else text
    if isinstance(error, CycloptsError):
        return " ".join(str(error).split())
    if isinstance(error, OSError):  # a path that cannot be read at all, or an output that is full
        return f"{error.filename or 'output'}: {error.strerror or error}"
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "out of memory: lower width, buffer, batch or the number of images"
    return in_plugin(error)
