"""The weights that ship with kvoice: NAME/ holds a run without what only training needs.

`kvoice.load(NAME)`, `--run=NAME` and `--init=NAME` open them where there is no folder of that name,
and `kvoice convert` uses some where no run is given. Each has a card: data and their licence, the
command that trained it, figures, limits. `exchange.shipped` makes such a folder of a run.
"""

from pathlib import Path

from kvoice.errors import KvoiceError

FOLDER = Path(__file__).parent
CARD = "card.md"


def names() -> list[str]:
    """Returns the names of the weights that ship."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def shipped(name: str) -> Path | None:
    """Returns the folder of the weights of a name; None where none of that name ship."""
    return FOLDER / name if name in names() else None


def refuse(run: str) -> None:
    """Refuses weights that ship, for a command that writes into the folder of its run.

    Raises:
        KvoiceError: If there is no such folder, and weights of that name ship.
    """
    folder = shipped(run)
    if folder and not Path(run).exists():
        raise KvoiceError(
            f"{run}: are the weights that ship, and nothing is written to them; copy them to a run "
            f"of your own (cp -r {folder} runs/{run}); `kvoice evaluate --run=runs/{run} "
            "--data=CORPUS` measures that"
        )
