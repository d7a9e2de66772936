"""Functions that are but parts of kernels: compiled to be built into them, and no further."""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _Part(JITCodeLibrary):  # type: ignore[misc]
    """Code that others build in and nobody calls: no machine code is made of it.

    Numba would make some, and of each part anew of all that is built into it. It would optimize the
    part, too, as a whole and for itself: that is done once, in the kernel, where all is in place.
    """

    @property
    def codegen(self) -> Any:
        """What is asked, once the code is there, to tell it of its environment: it has none."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing. Kernels read from disk have parts without an environment, too."""

    def _optimize_final_module(self) -> None:
        """Do nothing: the passes over each function have been, and more come in the kernel."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class PartCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, for a part of a kernel."""

    def define_pipelines(self) -> Any:
        """Numba's own, with somewhere else to put the code."""
        self.state.library = _Part(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()
