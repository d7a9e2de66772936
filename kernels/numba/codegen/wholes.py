"""Kernels as a whole: compiled with the thunk by which a tape calls them."""

from typing import Any

from numba.core.compiler import Compiler
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

from nnkit.kernels.numba.codegen.parts import Library
from nnkit.kernels.numba.codegen.thunks import add_thunk


class _Lower(Lower):  # type: ignore[misc]
    """Numba's way from typed code to LLVM's."""

    def create_cfunc_wrapper(self) -> None:
        """Write the thunk in place of a function for C, which nobody would call."""
        add_thunk(self.context, self.library, self.fndesc)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):  # type: ignore[misc]
    """The step that goes this way."""

    _name = "nnkit_lowering"

    @property
    def lowering_class(self) -> Any:
        """What writes the code."""
        return _Lower


class KernelCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, for a kernel that is put on tapes."""

    def define_pipelines(self) -> Any:
        """Numba's own, with a thunk written behind the kernel."""
        state = self.state
        state.library = Library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            steps = pipeline.passes
            pipeline.passes = [(_Lowering if s is NativeLowering else s, why) for s, why in steps]
        return pipelines
