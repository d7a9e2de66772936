"""Watch: a page on which a training run is seen while it is made."""

from __future__ import annotations

import sys
import weakref
import webbrowser
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nnkit.given.keywords import explained
from nnkit.given.options import integer, shown
from nnkit.play.needs import check_libraries
from nnkit.play.watching.board import Board
from nnkit.play.watching.room import WatchRoom
from nnkit.play.watching.run import WatchedRun
from nnkit.showing.watching import in_notebook, person_watches
from nnkit.training.callbacks import Callback

if TYPE_CHECKING:
    from nnkit.play.server import Server
    from nnkit.training import Trainer

LAST_SECONDS = 1.0
"""That open pages have to be told how a run ended, before the page is closed."""


class Watch(Callback):
    """Show a run on a page in the browser while it is made.

    Loss and accuracy as they go, examples per second, the first layer's weights as they form, the
    size of all weights and gradients, and of the validation data the confusion matrix and the
    pictures that the network gets wrong now. A button ends the run after its current step.

    The page is at an address of this machine, which is written to stderr, or shown in a notebook;
    whoever has it may look, in any number of browsers. It stays, with the end of the run, as long
    as this object and the process live, or until `close`; further runs are shown on the same page.
    Two at the same time need an object each. The run is, bit for bit, the one without it.

    Parameters
    ----------
    port
        Where to listen; where it is taken, another is used. 0: any that is free.
    browser
        Whether to open the page; None: where a person watches a terminal.
    image_shape
        (height, width) or (height, width, channels) of examples that are rows of pixels. None:
        that of images; rows of bytes are taken for square ones.
    class_names
        Names of the classes; where there is none, it is the number.

    Needs Starlette, uvicorn and websockets, and raises ImportError without them.
    """

    each_epoch = on_every_rank = False
    comes_last = True

    port: int = integer(least=0)

    @explained
    def __init__(
        self,
        port: int = 8765,
        browser: bool | None = None,
        image_shape: Sequence[int] | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        self.port, self.browser = port, browser
        self.image_shape = None if image_shape is None else _checked_shape(image_shape)
        self.class_names = tuple(map(str, class_names))
        self._set_apart()

    def _set_apart(self) -> None:
        """Have no page yet."""
        self._board, self._runs = Board(), 0
        self._run: WatchedRun | None = None
        self._server: Server | None = None
        self._end: Callable[[], object] | None = None

    @property
    def address(self) -> str | None:
        """Where the page is; None before the first run, and after `close`."""
        return None if self._server is None else f"{self._server.address}#/watch"

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Open the page, if it is not open yet, and begin a run on it."""
        if self._server is None:
            self._open()
        self._runs += 1
        what = self.image_shape, self.class_names
        self._run = WatchedRun(self._board, self._runs, trainer, *what)

    def on_progress(self, trainer: Trainer) -> None:
        """Tell pages that wait."""
        if self._run is not None:
            self._run.look(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Tell pages that wait."""
        if self._run is not None:
            self._run.epoch(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Tell how the run ended; the page stays."""
        if self._run is not None:
            self._run.end(trainer)
            self._run = None

    def wait(self) -> None:
        """Keep the process, and so the page, until Ctrl-C; return at once where there is none."""
        try:
            if self._server is not None:
                self._server.wait()
        except KeyboardInterrupt:
            pass

    def close(self) -> None:
        """Close the page, when those who look have been told the end; another run opens one."""
        if self._end is not None:
            self._end()
            self._set_apart()

    def __enter__(self) -> Watch:
        """Close the page at the end of a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        check_libraries("Watch")
        from nnkit.play.server import Server

        server = Server({"watch": partial(WatchRoom, board=self._board)}, port=self.port)
        self._server = server.__enter__()
        self._end = weakref.finalize(self, partial(_close, server, self._board))
        _say(f"{server.address}#/watch")
        if person_watches() and not in_notebook() if self.browser is None else self.browser:
            webbrowser.open(f"{server.address}#/watch")

    def __getstate__(self) -> dict[str, Any]:
        own = ("_board", "_runs", "_run", "_server", "_end")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set_apart()


def _close(server: Server, board: Board) -> None:
    board.wait_until_seen(LAST_SECONDS)
    server.__exit__(None, None, None)


def _say(address: str) -> None:
    """Tell where the page is, in a notebook by a link."""
    if in_notebook():
        from IPython import display

        display.display(display.HTML(f'<a href="{address}">nnkit: watch the run</a>'))  # type: ignore[no-untyped-call]
    else:
        print(f"watch the run at {address}", file=sys.stderr, flush=True)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    """Return an image's shape as a tuple of integers; raises ValueError for what is none."""
    try:
        sizes = tuple(shape)
    except TypeError:
        sizes = ()
    one = integer(least=1)
    if len(sizes) not in (2, 3):
        raise ValueError(
            "Watch: image_shape must be (height, width) or (height, width, channels), not "
            f"{shown(shape)}"
        )
    return tuple(one.checked("Watch: image_shape", size) for size in sizes)
