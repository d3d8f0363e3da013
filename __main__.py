"""``python -m semc``: the same as the command ``semc``."""

from .cli import run

if __name__ == "__main__":
    run()
