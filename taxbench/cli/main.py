"""The command line: `taxbench VERB`. Each verb lives in a file of its own and loads only when it is typed."""

import signal
import sys
import traceback
from importlib import import_module
from types import FrameType

import click

from taxbench._version import __version__
from taxbench.cli.options import VerbGroup
from taxbench.util.errors import TaxbenchError, unreadable
from taxbench.util.progress import Reporter

# The verbs and what they do, so that --help imports none of them.
_VERBS = {
    "run": "Train heads, ask them, and print the table.",
    "plan": "Say what a run would do, and how long it would take.",
    "status": "Say how far the runs of a folder of results are, whoever is at work on them.",
    "probe": "Say what a language model knows of names before it sees any picture.",
    "extract": "Put features into the cache, ahead of the runs that want them.",
    "cache": "Look at, verify, clean, import and export cached features.",
    "ls": "List tasks, models, encoders, heads, settings and datasets.",
    "show": "Print a task with all it inherits, its counts, and ten of its questions.",
    "validate": "Check task files: every mistake at once, with its line.",
    "new": "Write a task file to start from.",
    "schema": "Print the JSON Schema of a task file or a result.",
    "taxonomy": "Find the hypernyms of leaves in WordNet and write them for a person to edit.",
    "leaderboard": "Show results in one table; build, check and add to the published ones.",
    "view": "Make a page of right and wrong answers with their pictures.",
    "compare": "Compare two heads, encoders or models on the same questions.",
    "analyze": "Ask what generalisation depends on: visual similarity, or knowledge from text.",
    "score": "Compute every figure of a record anew from its predictions, without a model.",
    "reproduce": "Run a record again and say whether the scores agree.",
    "doctor": "Say what this machine, and a folder that several share, can do.",
    "pocket": "Look at the embedded default, or make its weights anew.",
    "cite": "Print BibTeX of the paper and of taxbench.",
    "completion": "Print the shell's completion script.",
}

_ANYWHERE = ("-q", "--quiet", "--debug")


class _Verbs(VerbGroup):
    """A group that imports a verb when it is typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs of the command line."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a verb and return its command; None for an unknown verb."""
        if cmd_name not in _VERBS:
            return None
        command: click.Command = import_module(f"taxbench.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with their summaries into the command line's help."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="taxbench")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on standard error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool, quiet: bool) -> None:
    """Does what a frozen language model knows from text carry over to images?

    \b
    taxbench run --task unseen_hypernym              everything embedded, offline
    taxbench run --model llama --encoder dinov2 ...  the real thing
    """
    ctx.obj = Reporter(quiet=quiet)  # for verbs, by click.pass_obj


def main() -> None:
    """Run the command line and end the process with its exit code."""
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)  # scancel, docker stop, a preempted machine: as Ctrl-C
    code = call(sys.argv[1:])
    sys.exit(128 + ended[0] if ended and code else code)


def call(arguments: list[str]) -> int:
    """Run one command line; 0 is well, 1 failed, 2 wrong usage, 130 interrupted."""
    debug = "--debug" in arguments
    arguments = sorted(arguments, key=lambda word: word not in _ANYWHERE)  # stable: these go first, wherever they stand
    try:
        # Without standalone mode click returns the code of `ctx.exit(code)`, and None after a command that ends well.
        return int(cli.main(arguments, prog_name="taxbench", standalone_mode=False) or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TaxbenchError as error:
        problem, code = str(error), error.exit_code
    except (KeyboardInterrupt, click.Abort):
        problem, code = "Interrupted. What is finished is kept; the same command goes on from there.", 130
    except BrokenPipeError:
        return 1
    except PermissionError as error:
        problem, code = unreadable(error), 1
    except Exception as error:  # the top of the program: nothing escapes as a traceback unless asked for
        if "KeyboardInterrupt" in str(error):  # in the middle of code that wraps whatever it is met with
            return 130
        problem, code = (
            f"Internal error ({type(error).__name__}: {error}). Run with 'taxbench --debug ...' for details.",
            1,
        )
    if debug:
        traceback.print_exc()
    print(f"taxbench: {_seen(problem)}", file=sys.stderr)
    return code


def _seen(text: str) -> str:
    """Return a message without what would steer the terminal: it may quote a stranger's file."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
