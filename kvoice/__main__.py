"""`python -m kvoice VERB` is the command `kvoice VERB`."""

import sys

from kvoice import cli

if __name__ == "__main__":
    sys.exit(cli.main())
