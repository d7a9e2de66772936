"""What a page may ask for: more of anything is refused, in words."""

MESSAGE_BYTES = 512 * 1024
"""Of a message from the page; a drawing has 80 kB."""

PAGES = 64
"""Connections at a time, each with a thread of its own."""

WAITING_MESSAGES = 16
"""That a page may be ahead of its thread; more are read when there is room."""

IDLE_SECONDS = 600
"""After so long without a word from the page nothing is trained for it any more."""

BUSY_SECONDS = 60
"""For which a page's thread may leave more messages than that unread, or the page its own."""
