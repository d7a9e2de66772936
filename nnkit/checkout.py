"""Find nnkit.kernels in a checkout where Git made no link: in the folder beside nnkit.

nnkit/kernels is a symbolic link to kernels, which Git for Windows makes only when told to; else it
is a text file. In a wheel the kernels themselves lie in that place.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent

if not (HERE / "kernels").is_dir():
    sys.modules["nnkit"].__path__.append(str(HERE.parent))
