"""``python -m semc``: the same as the command ``semc``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
