"""``python -m sernb`` is the ``sernb`` command."""

import sys

from sernb.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
