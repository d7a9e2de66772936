"""The look-alikes of CuPy's exceptions."""

from __future__ import annotations


class CUDARuntimeError(RuntimeError):
    """An error code of the CUDA runtime, as `cupy.cuda.runtime.CUDARuntimeError`."""

    MESSAGES = {  # noqa: RUF012
        35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime "
        "version",
        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
        101: "cudaErrorInvalidDevice: invalid device ordinal",
        600: "cudaErrorNotReady: device not ready",
        900: "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing",
        901: "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during "
        "capture",
        902: "cudaErrorStreamCaptureMerge: operation would result in a merge of separate capture "
        "sequences",
        905: "cudaErrorStreamCaptureIsolation: dependency created on uncaptured work in another "
        "stream",
        906: "cudaErrorStreamCaptureImplicit: operation would make the legacy stream depend on a "
        "capturing blocking stream",
        907: "cudaErrorCapturedEvent: operation not permitted on an event last recorded in a "
        "capturing stream",
    }

    def __init__(self, status: int) -> None:
        super().__init__(self.MESSAGES[status])
        self.status = status


class CompileException(Exception):  # noqa: N818
    """A source that does not compile, as `cupy.cuda.compiler.CompileException`."""

    def __init__(
        self, msg: str, source: str, name: str, options: tuple[str, ...], backend: str = "nvrtc"
    ) -> None:
        super().__init__()
        self._msg, self.source, self.name = msg, source, name
        self.options, self.backend = options, backend

    def __str__(self) -> str:
        return self._msg

    def get_message(self) -> str:
        """Return the compiler's log."""
        return self._msg
