"""The ``lord`` command: reads the command line, answers mistakes in one line."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from rich.console import Console

import lord
from lord.cli import kept, tuning
from lord.cli.flags import TYPED, Flags, Where, Whole, see_no_empty
from lord.config import LostError, UserError, in_plugin

EXAMPLES = """
Examples:

  lord run                                    learn the digits with LoRD\n
  lord compare --methods sgd,er,der++,lord    compare methods on them\n
  lord learn photos/week1 --state memory      learn images as they come, for months\n
  lord ablate --seeds 5                       what each part of LoRD is worth\n
  lord tune --methods er --space lr=0.01..0.3:log --trials 20    the best settings\n
  lord data pictures/ --holdout 0.2           what images are there\n
  lord compare --preset s-cifar10 --data cifar10/ --width 16 --subset 0.2 --epochs 5\n
  lord bench --preset s-cifar10 --data cifar10/ --width 16    how fast is a step?\n
  lord report runs/compare-digits             tables and pictures again
"""

app = App(
    name="lord",
    help="Continual learning that counts its cost: accuracy per training FLOP.",
    help_epilogue=EXAMPLES,
    version=lord.__version__,
    help_on_error=False,
    suppress_keyboard_interrupt=False,
)


@app.command
def run(
    flags: Flags | None = None,
    *,
    method: str | None = None,
    seed: Whole | None = None,
    out: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    resume: Annotated[bool, Parameter(negative="")] = False,
    track: Literal["tensorboard", "mlflow", "wandb"] | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Train one method on one stream.

    Parameters
    ----------
    method
        lord (the default), or any other that 'lord methods' lists; lord:rho=0.25 for a variant.
    seed
        Of everything random; 0 by default.
    out
        Folder for the results; by default runs/PRESET-METHOD-seedN.
    overwrite
        Replace results already in that folder.
    resume
        Go on from the last checkpoint in that folder, as if never stopped.
    track
        Where figures go too.
    quiet
        No progress bar and no table.
    """
    from lord.cli import commands

    commands.run(
        flags or Flags(),
        method,
        seed,
        out,
        overwrite=overwrite,
        resume=resume,
        track=track,
        quiet=quiet,
    )


@app.command
def compare(
    flags: Flags | None = None,
    where: Where | None = None,
    *,
    methods: str = "sgd,er,der++,lord",
    seeds: Whole = 3,
    out: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Run several methods with several seeds, and put them in one table.

    A comparison that was stopped goes on where it was: finished runs are kept.

    Parameters
    ----------
    methods
        Names, separated by commas. Variants of a method carry their settings along:
        er:epochs=1,er:epochs=5,lord:rho=0.25:draws=1.
    seeds
        Number of seeds: 0, 1, 2 ...
    out
        Folder for the results; by default runs/compare-PRESET.
    overwrite
        Run everything again.
    """
    from lord.cli import commands

    commands.compare(flags or Flags(), methods, seeds, out, where or Where(), overwrite=overwrite)


@app.command
def ablate(
    flags: Flags | None = None,
    where: Where | None = None,
    *,
    method: str = "lord",
    study: str = "redundancies",
    seeds: Whole = 3,
    out: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """What each part of LoRD is worth: a table of what its absence costs and saves.

    Goes on where it was when it was stopped.

    Parameters
    ----------
    method
        lord or lord+.
    study
        redundancies: each of the three taken away, and combinations; or rehearsal: other ways to
        spend the same FLOPs on it, longer training where less is replayed.
    seeds
        Number of seeds: 0, 1, 2 ...
    out
        Folder for the results; by default runs/ablate-METHOD-STUDY-PRESET.
    overwrite
        Run everything again.
    """
    from lord.cli import commands

    commands.ablate(
        flags or Flags(), method, study, seeds, out, where or Where(), overwrite=overwrite
    )


@app.command
def bench(
    flags: Flags | None = None,
    *,
    methods: str = "der++,lord",
    task: Whole | None = None,
    steps: Whole = 20,
    out: Path | None = None,
) -> None:
    """Time training steps: what they go on, and how near they are to what the machine can do.

    Run it on an otherwise idle machine.

    Parameters
    ----------
    methods
        Names, separated by commas; the first is what the others are compared with.
    task
        The only task to time, from 1; by default all, and so all widths of a growing student.
    steps
        Timed steps of each method in each task.
    out
        JSON file for everything measured.
    """
    from lord.cli import benches

    benches.bench(flags or Flags(), methods, task, steps, out)


@app.command
def report(
    folder: Path,
    /,
    *,
    html: Annotated[bool, Parameter(negative="")] = False,
    watch: Annotated[bool, Parameter(negative="")] = False,
    port: Whole | None = None,
) -> None:
    """Write pages and pictures again from the results in a folder, or one page to look around in.

    Parameters
    ----------
    folder
        Of a comparison, of one run, or of many comparisons.
    html
        Write FOLDER/report.html instead: one file with charts, runs and commands. It needs no
        network.
    watch
        Serve that page instead, to this machine only, with the runs in progress. Ctrl-C ends it.
    port
        To serve it at; any free one by default.
    """
    from lord.cli import commands

    if html and watch:
        raise UserError("watch: serves the page that --html writes: give one")
    if port is not None and not watch:
        raise UserError("port: is for --watch")
    if port is not None and not 0 <= port < 2**16:
        raise UserError(f"port: expected 0 to 65535, got {port}")
    if watch:
        commands.watch(folder, port or 0)
    else:
        commands.report(folder, html=html)


@app.command
def methods(name: str | None = None, /, *, plugin: Path | None = None) -> None:
    """List the methods, or the settings of one.

    Parameters
    ----------
    name
        A method.
    plugin
        Python file with methods of your own.
    """
    from lord.cli import commands

    commands.methods(name, plugin)


@app.command
def data(
    path: str = "digits", /, *, holdout: float | None = None, resize: Whole | None = None
) -> None:
    """Tell what images are at a path, and whether they are sound.

    Parameters
    ----------
    path
        Images in any layout 'lord run' takes.
    holdout
        Share of each class to hold out for testing.
    resize
        Side in pixels to resize to.
    """
    from lord.cli import commands

    commands.data(path, holdout, resize)


for command in (*kept.COMMANDS, tuning.tune):
    app.command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a mistake is one line on standard error, and exit code 2."""
    # Threads that spin as they wait stall other work; never to spin costs a third of a small step.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    TYPED[:] = sys.argv[1:] if arguments is None else arguments
    try:
        see_no_empty(TYPED)
        app(TYPED, exit_on_error=False, print_error=False)
    except UnusedCliTokensError as error:
        word = (error.unused_tokens or ["?"])[0]
        _complain(f"unexpected '{word}': settings are given as flags, such as --method lord")
        sys.exit(2)
    except (UserError, CycloptsError) as error:
        if os.environ.get("RANK", "0") == "0" or isinstance(error, LostError):
            _complain(" ".join(str(error).split()))  # of several processes, the first speaks
        sys.exit(2)
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "interrupted")
        sys.exit(130)
    except BrokenPipeError:  # such as 'lord methods | head'
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a path that cannot even be looked at, an output that is full
        _complain(f"{error.filename or 'output'}: {error.strerror or error}")
        sys.exit(2)
    except Exception as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            _complain("out of memory: lower width, buffer, batch or the number of images")
        elif said := in_plugin(error):
            _complain(said)
        else:
            raise
        sys.exit(2)


def _complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"error: {text}")
