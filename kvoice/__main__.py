"""`python -m kvoice VERB` is the command `kvoice VERB`."""

import sys

from kvoice.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
