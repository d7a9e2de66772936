"""The view "watch": a run is seen, and may be stopped."""

from __future__ import annotations

from nnkit.play.connection import Connection, RefusedError
from nnkit.play.rooms import Room
from nnkit.play.watching.board import Board
from nnkit.play.wire import Message

SECONDS = 0.1
"""Between two looks at the board."""


class WatchRoom(Room):
    """Tells a page what is on a board, and the board what the page asks for."""

    def __init__(self, connection: Connection, board: Board) -> None:
        super().__init__(connection)
        self.board = board

    def serve(self) -> None:
        """Tell of each change, until the page goes, which raises ClosedError."""
        with self.board.reader() as page:
            while True:
                version, news = self.board.news(page)
                for kind, fields in news:
                    self.connection.send(kind, **fields)
                self.board.told(page, version)
                message = self.connection.receive(SECONDS)
                if message is not None:
                    self.handle(message)

    def on_stop(self, message: Message) -> None:
        """End a run after its current step, by its number."""
        run = message.get("run")
        if type(run) is not int:
            raise RefusedError("unknown_message", kind="stop")
        self.board.stops = run
