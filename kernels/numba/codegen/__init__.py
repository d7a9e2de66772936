"""What is made of Numba's own parts: options and cache of the compiler, code in LLVM's language.

All use of llvmlite and of Numba's private API is in this folder. ``tests/test_codegen.py`` checks
each private name, and says for which releases of Numba they are known to hold.
"""
