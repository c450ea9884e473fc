"""Runs the command as ``python -m redcard``."""

from redcard.cli import main

if __name__ == "__main__":
    main()
