"""The flags of a command: declared, parsed, and missed where they are missing."""

import os
import re

from absl import flags

from kvoice.errors import KvoiceError
from kvoice.files import expanded

CORPORA = (
    "demo (built in), espeak, folder:DIR, or a corpus in the layout of its download, NAME:DIR with "
    "NAME one of ravdess, tess, cremad, emodb, esd, iemocap, vctk, libritts, librispeech, "
    "ljspeech, arctic, commonvoice; joined by +; or tess-ravdess:DIR, a published protocol"
)


class UsageError(KvoiceError):
    """A command that cannot be understood: exit status 2."""


class Flags(flags.FlagValues):
    """The flags of one command; each method declares one of them.

    Attributes:
        expanded: The names of those that are paths.
    """

    def __init__(self):
        super().__init__()
        self.__dict__["expanded"] = []  # other attributes are flags

    def text(self, name, default, help):  # noqa: A002  the word of absl
        """A text."""
        flags.DEFINE_string(name, default, help, flag_values=self)

    def texts(self, name, help):  # noqa: A002
        """A text that may be given several times: a list."""
        flags.DEFINE_multi_string(name, [], help, flag_values=self)

    def path(self, name, default, help):  # noqa: A002
        """The path of a file or folder; "~" is expanded."""
        self.text(name, default, help)
        self.expanded.append(name)

    def paths(self, name, help):  # noqa: A002
        """A path that may be given several times: a list."""
        self.texts(name, help)
        self.expanded.append(name)

    def choice(self, name, default, values, help):  # noqa: A002
        """One of some texts."""
        flags.DEFINE_enum(name, default, values, help, flag_values=self)

    def integer(self, name, default, help, least=0, most=None):  # noqa: A002
        """A whole number."""
        flags.DEFINE_integer(
            name, default, help, lower_bound=least, upper_bound=most, flag_values=self
        )

    def number(self, name, default, help, least=0, most=None):  # noqa: A002
        """A number."""
        flags.DEFINE_float(
            name, default, help, lower_bound=least, upper_bound=most, flag_values=self
        )

    def switch(self, name, default, help):  # noqa: A002
        """True or false."""
        flags.DEFINE_bool(name, default, help, flag_values=self)


def values(command, words):
    """The arguments of a command from its words.

    Args:
        command: The module of a verb.
        words: What follows the verb.

    Returns:
        Name -> value: its flags, `overrides` (the words `--config.FIELD=VALUE`) where it says
        `CONFIG = True`, and under the name that it gives as `REST` the words that are no flags.

    Raises:
        UsageError: If a word is no flag of it, or the value of one does not fit.
    """
    parser = declared(command)
    overrides = (
        [word for word in words if re.match(r"--?config\.", word)]
        if getattr(command, "CONFIG", False)
        else []
    )
    try:
        surplus = parser(["kvoice", *(word for word in words if word not in overrides)])[1:]
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from None
    found = parser.flag_values_dict()
    for name in parser.expanded:
        given = found[name]
        found[name] = [*map(expanded, given)] if isinstance(given, list) else expanded(given)
    if rest := getattr(command, "REST", ""):
        found[rest] = [*map(expanded, surplus)]
    elif surplus:
        raise UsageError(f"{surplus[0]!r} is no flag: they are written --name=value")
    return found | ({"overrides": overrides} if getattr(command, "CONFIG", False) else {})


def declared(command):
    """The `Flags` of the module of a verb."""
    parser = Flags()
    command.declare(parser)
    return parser


def required(**given):
    """Raises where a flag is missing: name -> (value, what stands for it in the message).

    Raises:
        UsageError: At the first that is.
    """
    for name, (value, placeholder) in given.items():
        if not value:
            raise UsageError(f"--{name}={placeholder} is missing")


def by_front_door(text):
    """A text whose commands are as the user wrote them: bin/VERB in a checkout."""
    door = os.environ.get("KVOICE_DOOR", "kvoice ")
    return re.sub(r"(`|^ +)kvoice (?=[a-zA-Z])", lambda found: found[1] + door, text, flags=re.M)


def following(*commands):
    """Returns lines that name what to try next."""
    lines = (by_front_door(f"`kvoice {command}").removeprefix("`") for command in commands)
    return "\n".join(["Next:", *(f"  {line}" for line in lines)])
