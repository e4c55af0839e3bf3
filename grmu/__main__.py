"""python -m grmu COMMAND: see grmu/batch/cli.py."""

import sys

from grmu.batch.cli import main

if __name__ == "__main__":
    sys.exit(main())
