"""What ``python -m nnkit`` runs: the same as the command ``nnkit``."""

from nnkit.cli import main

main()
