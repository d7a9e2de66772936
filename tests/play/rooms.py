"""Rooms that answer nothing, for tests of what is around them."""

from nnkit.play.rooms import Room


class Silent(Room):
    """Takes all messages, and says nothing."""

    def handle(self, message):
        pass
