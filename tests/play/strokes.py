"""Digits as strokes of a mouse, in a square of 280: lines, and arcs about a centre."""

from __future__ import annotations

from math import cos, pi, sin


def arc(x, y, across, down, start, end, steps=16):
    """Points of an ellipse; angles in turns, 0 to the right, growing clockwise."""
    turns = [start + (end - start) * i / steps for i in range(steps + 1)]
    return [(x + across * cos(2 * pi * t), y + down * sin(2 * pi * t)) for t in turns]


DIGITS = {
    0: [arc(140, 140, 55, 80, -0.25, 0.75, 24)],
    1: [[(140, 55), (140, 225)]],
    2: [[*arc(140, 105, 50, 48, -0.45, 0.08), (90, 220), (200, 220)]],
    3: [[*arc(130, 97, 48, 42, -0.42, 0.25), *arc(130, 182, 54, 43, -0.25, 0.4)]],
    4: [[(150, 55), (80, 160), (205, 160)], [(170, 110), (170, 230)]],
    5: [[(190, 60), (105, 60), (98, 130), *arc(138, 170, 52, 52, -0.33, 0.4)]],
    6: [[(175, 55), (120, 110), *arc(138, 175, 45, 48, -0.45, 0.55, 24)]],
    7: [[(80, 65), (200, 65), (130, 225)]],
    8: [
        [
            *arc(140, 95, 40, 38, 0.25, -0.75, 24),
            *arc(140, 183, 48, 45, -0.25, 0.75, 24),
        ]
    ],
    9: [[*arc(140, 105, 45, 45, 0.0, -1.0, 24), (180, 225)]],
}


def draw(page, strokes):
    """Draw them with the mouse on the page's pad."""
    box = page.locator("canvas.pad").bounding_box()

    def at(point):
        return [box[edge] + x * box["width"] / 280 for edge, x in zip("xy", point, strict=True)]

    for first, *rest in strokes:
        page.mouse.move(*at(first))
        page.mouse.down()
        for point in rest:
            page.mouse.move(*at(point), steps=2)
        page.mouse.up()
