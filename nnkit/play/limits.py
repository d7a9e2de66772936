"""What a page may ask for: more of anything is refused, in words."""

MESSAGE_BYTES = 512 * 1024
"""Of a message from the page; a drawing has 80 kB."""

PAGES = 64
"""Connections at a time, each with a thread of its own."""

WAITING_MESSAGES = 16
"""That a page may be ahead of its thread; more are read when there is room."""

IDLE_SECONDS = 600
"""After so long without a word from the page nothing is trained for it any more."""

PAD_SIDE = 1024
"""Pixels that a side of a drawing has at most."""

DRAWN_LAYERS, DRAWN_MAPS, DRAWN_SIDE, DRAWN_UNITS = 12, 32, 64, 256
"""Of a network's activations: layers, maps of each, pixels of a map's side, units of a layer."""

LOUDEST = 8
"""Units of the first layer whose weights are drawn."""

DRAWINGS = 50
"""That a network is taught."""

TAUGHT_STEPS, TAUGHT_SECONDS = 200, 10
"""After so many steps, or seconds, it is taught no further."""

TAUGHT_PARAMETERS = 5_000_000
"""That a network may have to be taught: each page has copies of its own."""

BUSY_SECONDS = 60
"""For which a page's thread may leave more messages than that unread, or the page its own."""
