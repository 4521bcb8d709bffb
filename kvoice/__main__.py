"""`python -m kvoice VERB` is the command `kvoice VERB`."""

import sys

from kvoice import cli

sys.exit(cli.main())
