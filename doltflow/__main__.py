"""`python -m doltflow`."""

import sys

from doltflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
