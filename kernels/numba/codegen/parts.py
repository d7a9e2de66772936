"""Functions that are but parts of kernels: compiled to be built into them, and no further."""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _Defined:
    """A module of LLVM's, of whose functions only those are shown that have a body."""

    def __init__(self, module: Any) -> None:
        vars(self)["_module"] = module

    @property
    def functions(self) -> list[Any]:
        """Those that there are passes for."""
        return [function for function in self._module.functions if not function.is_declaration]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)


class Library(JITCodeLibrary):  # type: ignore[misc]
    """Numba's, sooner done: it would prepare passes over each function that others only call."""

    def _optimize_functions(self, module: Any) -> None:
        super()._optimize_functions(_Defined(module))


class _Part(Library):
    """Code that others build in and nobody calls: no machine code is made of it.

    Numba would make some, and of each part anew of all that is built into it. It would optimize the
    part, too, as a whole and for itself: that is done once, in the kernel, where all is in place.
    """

    reorders = False
    """Whether it is an operation that the compiler may carry out in any order among its kind."""

    @property
    def codegen(self) -> Any:
        """What is asked, once the code is there, to tell it of its environment: it has none."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing. Kernels read from disk have parts without an environment, too."""

    def _optimize_final_module(self) -> None:
        """Choose an order here where there is a choice: it does not depend on the kernel then."""
        if any(getattr(library, "reorders", False) for library in self._linking_libraries):
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class PartCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, for a part of a kernel."""

    def define_pipelines(self) -> Any:
        """Numba's own, with somewhere else to put the code."""
        state = self.state
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.reorders = "reassoc" in state.flags.fastmath.flags
        return super().define_pipelines()
