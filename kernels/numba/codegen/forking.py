"""Forking while another thread compiles: the child would wait for locks that nobody gives back.

The locks of Numba and of LLVM are therefore taken before a fork, which waits for the kernel that
is being compiled, and given back behind it, in parent and child.
"""

import os

from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock


def _take() -> None:
    global_compiler_lock.acquire()
    ffi.lib._lock._lock.acquire()


def _give_back() -> None:
    ffi.lib._lock._lock.release()
    global_compiler_lock.release()


def protect() -> None:
    """Do so from now on, where there is a fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_give_back)
