"""What the ranks of a run tell each other between steps; one that is alone tells itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, Concatenate, NamedTuple, NoReturn, ParamSpec, Protocol, TypeVar

from nnkit.distributed.contract import Communicator, RankError, share
from nnkit.given.options import shown
from nnkit.layers import Sequential
from nnkit.reasons import named_reason
from nnkit.showing.warning import unheard
from nnkit.training.compiling import compilation_shown
from nnkit.training.divergence import DivergenceError

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Ranks:
    """One of the processes of a communicator; with None, one that is alone.

    What is decided between steps is decided by what all have told each other, so that all do the
    same. Raises TypeError for what is no communicator.
    """

    def __init__(self, communicator: Communicator | None = None) -> None:
        if communicator is not None and not isinstance(communicator, Communicator):
            raise TypeError(
                "communicator must be that of nnkit.distributed.communicator(), or None, not "
                f"{shown(communicator)}"
            )
        self.communicator = communicator
        self.rank = 0 if communicator is None else communicator.rank
        self.size = 1 if communicator is None else communicator.size
        self._agreed: BaseException | None = None
        self._method = ""

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    def share(self, rows: int) -> slice:
        """A part of so many rows, the one of this rank."""
        return share(rows, self.rank, self.size)

    def gather(self, value: Any) -> list[Any]:
        """What all ranks gave, in their order, on all of them.

        Raises RuntimeError on all where they are not in the same methods.
        """
        if self.communicator is None or self.alone:
            return [value]
        found = self.communicator.gather(_Said(self._method, value))
        methods = [each.method if isinstance(each, _Said) else "gather" for each in found]
        for rank, method in enumerate(methods):
            if method != methods[0]:
                error = RuntimeError(
                    f"rank {rank} calls {method} while rank 0 calls {methods[0]}: all ranks must "
                    "call the same methods in the same order, and a callback that says "
                    "on_every_rank = False none of them"
                )
                self.all_raise(error)
        return [each.value for each in found]

    def first(self, value: Any) -> Any:
        """What rank 0 gave."""
        return self.gather(value)[0]

    def alike(self, model: Sequential) -> None:
        """Have the model's running averages be those of rank 0, where a layer has made its own."""
        buffers = [] if self.alone else [array for _, array in model.named_buffers()]
        if not buffers:
            return
        to_numpy, asarray = model.backend.to_numpy, model.backend.asarray
        theirs = self.first([to_numpy(array) for array in buffers] if self.rank == 0 else None)
        for array, value in zip(buffers, theirs, strict=True):
            array[...] = asarray(value, array.dtype)

    def stop(self, wanted: bool, check: Callable[[], None]) -> bool:
        """Whether any rank wants to stop; KeyboardInterrupt on all if `check` raises it on any."""
        if self.alone:
            check()
            return wanted
        interrupted = False
        try:
            check()
        except KeyboardInterrupt:
            interrupted = True
        found = self.gather((wanted, interrupted))
        if any(each for _, each in found):
            self.all_raise(KeyboardInterrupt())
        return any(each for each, _ in found)

    def together(self, work: Callable[[], Result]) -> Result:
        """Do work in which ranks tell each other nothing; an error of all of them ends none."""
        if self.alone:
            return work()
        failed: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failed = error
        on_all = all(self.gather(failed is not None))
        if failed is None:
            return result
        if on_all:
            self.all_raise(failed)
        raise failed

    def all_raise(self, error: BaseException) -> NoReturn:
        """Raise an error of which all ranks know that they all raise it here."""
        self._agreed = error
        raise error

    @contextmanager
    def taking_part(self, method: str = "") -> Iterator[None]:
        """Have the others end too if anything is raised inside a ``with`` block on this rank alone.

        RuntimeError on all if one is in another `method`. Of all ranks' warnings those of rank 0
        are heard.
        """
        if self.communicator is None or self.alone:
            yield
            return
        with ExitStack() as stack:
            if self.rank > 0:
                stack.enter_context(unheard())
                stack.enter_context(compilation_shown(False))
            before, self._method = self._method, method
            try:
                yield
            except BaseException as error:
                self.tell(error)
                raise
            finally:
                self._method = before
                if not before:
                    self._agreed = None  # whose traceback holds the run's arrays

    def tell(self, error: BaseException) -> None:
        """Have the others end because of an error, unless it is one that they have, too."""
        known = error is self._agreed or isinstance(error, RankError | DivergenceError)
        if self.communicator is not None and not (self.alone or known):
            self.communicator.fail(named_reason(error))


class _Said(NamedTuple):
    """What a rank gathers, and the method of a trainer in which it does."""

    method: str
    value: Any


class _HasRanks(Protocol):
    ranks: Ranks


Self = TypeVar("Self", bound=_HasRanks)


def on_all_ranks(
    method: Callable[Concatenate[Self, Given], Result],
) -> Callable[Concatenate[Self, Given], Result]:
    """Make a method one that all ranks call together: if one cannot go on, none does."""

    @wraps(method)
    def call(self: Self, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        with self.ranks.taking_part(method.__name__):
            return method(self, *args, **kwargs)

    return call
