"""The command `kvoice VERB ...`: which verbs there are, their help, and what a failure says.

Frameworks are imported inside the functions of the verbs, once KERAS_BACKEND is settled, so that
`-h` answers at once. The flags are parsed here rather than by `absl.app`, which knows no `-h`, and
the fields of a config rather than by `config_flags`, which reads the words of the process instead
of those it is given and answers a wrong type with a traceback.
"""

import importlib
import inspect
import os
import sys
import traceback

from kvoice import frameworks, imports
from kvoice.cli.flags import UsageError, by_front_door, declared, values
from kvoice.errors import KvoiceError, near, printable, system_line

DEBUG = "KVOICE_DEBUG"  # environment variable: failures show their traceback too
HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")
VERBS = {
    verb: verb
    for verb in (
        "train",
        "prepare",
        "generate",
        "evaluate",
        "classify",
        "convert",
        "vocode",
        "encode",
        "maximize",
        "traverse",
        "report",
    )
} | {"import": "import_"}  # "import" is a word of Python


def main(words=None):
    """Runs `kvoice VERB ...`.

    Args:
        words: What follows the program's name; None takes it from the process.

    Returns:
        The exit status: 0, 1 where the command failed, 2 where it could not be understood, 130
        where Ctrl-C stopped it.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files are printed in any locale
            stream.reconfigure(errors="backslashreplace")
    verb, *words = (sys.argv[1:] if words is None else words) or ["-h"]
    try:
        if verb in HELP:
            print(by_front_door(_overview()), flush=True)
            return 0
        if verb == "--version":
            print(f"kvoice {importlib.import_module('kvoice').__version__}")
            return 0
        if verb not in VERBS:
            return _failed(verb, f"no such command{near(verb, VERBS)}; `kvoice -h` lists them", 2)
        if any(word in HELP for word in words):
            print(by_front_door(_help(verb, words)), flush=True)
        else:
            imports.silence_retracing()
            imports.keras_alone()
            command = module(verb)
            function(command, verb)(**values(command, words))
    except UsageError as error:
        return _failed(verb, f"{error} (`kvoice {verb} -h` shows the flags)", 2)
    except KvoiceError as error:
        return _failed(verb, error, 1)
    except KeyboardInterrupt:
        how = {"train": "goes on from the last checkpoint", "prepare": "goes on"}
        return _failed(verb, f"stopped; the same command {how.get(verb, 'starts again')}", 130)
    except ModuleNotFoundError as error:
        line = frameworks.missing(error)
        if not line:
            raise
        return _failed(verb, line, 1)
    except BrokenPipeError:  # as of `| head`; what is still to be printed goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _failed(verb, "stopped, since nothing reads its output any more", 1)
    except Exception as error:  # TensorFlow's and HDF5's for a full disk have nothing in common
        line = system_line(error)
        if not line:
            raise
        return _failed(verb, line, 1)
    return 0


def _failed(verb, line, status):
    if os.environ.get(DEBUG):
        traceback.print_exc()
    line = by_front_door(printable(line).replace("\n", " "))
    print(f"kvoice {verb}: {line}", file=sys.stderr)
    return status


def module(verb):
    """The module of a verb."""
    return importlib.import_module(f"kvoice.cli.{VERBS[verb]}")


def function(command, verb):
    """What the module of a verb runs: its function of the same name."""
    return getattr(command, VERBS[verb])


def _overview():
    summaries = {
        verb: inspect.getdoc(function(module(verb), verb)).splitlines()[0] for verb in VERBS
    }
    lines = [f"  {verb:<10}{summary}" for verb, summary in summaries.items()]
    return "\n".join(
        [
            "kvoice: disentangled representations of voices, and speech made from them.",
            "",
            *lines,
            "",
            "`kvoice VERB -h` shows examples and flags. The environment variable KERAS_BACKEND "
            "chooses",
            f"one of {', '.join(frameworks.BACKENDS)}; {DEBUG}=1 shows the traceback of a failure.",
        ]
    )


def _help(verb, words):
    """What a command does, its flags, and the config of the model that the words name, if any."""
    command = module(verb)
    summary, *examples = inspect.getdoc(function(command, verb)).splitlines()
    lines = [
        f"kvoice {verb}: {summary}",
        *(f"  {line}".rstrip() for line in examples),
        "",
        "Flags:",
    ]
    parser = declared(command)
    for name in parser:
        value = parser[name].default
        default = "" if value in ("", [], None) else f" (default: {value})"
        text = parser[name].help.split(";\n")[0]  # absl adds how to repeat a flag
        text = text.replace("<|", "<")  # "" among the choices
        lines.append(f"  --{name}{': ' if parser[name].boolean else '='}{text}{default}")
    return "\n".join([*lines, *(command.more_help(words) if hasattr(command, "more_help") else [])])
