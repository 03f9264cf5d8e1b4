"""Contact sheets of pocket pictures, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from taxbench.pocket.render import render

_LABEL_WIDTH = 92  # pixels
_GAP = 2


def contact_sheet(concepts: Sequence[str], per_concept: int = 8, seed: int = 0, size: int = 96) -> Image.Image:
    """Lay out one row per concept, its name on the left and pictures 0 .. per_concept - 1 beside it."""
    step = size + _GAP
    sheet = Image.new("RGB", (_LABEL_WIDTH + step * per_concept, step * len(concepts)), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for row, concept in enumerate(concepts):
        draw.text((4, row * step + size // 2 - 6), concept, fill=(0, 0, 0))
        for index in range(per_concept):
            picture = Image.fromarray(render(concept, index, seed, size))
            sheet.paste(picture, (_LABEL_WIDTH + index * step, row * step))
    return sheet
