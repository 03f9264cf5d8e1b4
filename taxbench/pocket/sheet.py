"""Contact sheets of pocket pictures, for people to look at."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from taxbench.pocket.art import render

_LABEL_WIDTH = 92  # pixels
_GAP = 2
_SIZE = 96


def contact_sheet(concepts: Sequence[str], per_concept: int = 8, columns: int = 4) -> Image.Image:
    """Lay out concepts in columns, each a name with its first pictures beside it."""
    step = _SIZE + _GAP
    block = _LABEL_WIDTH + step * per_concept
    rows = -(-len(concepts) // columns)
    sheet = Image.new("RGB", (block * columns, step * rows), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for place, concept in enumerate(concepts):
        left, top = block * (place // rows), step * (place % rows)
        draw.text((left + 4, top + _SIZE // 2 - 6), concept, fill=(0, 0, 0))
        for index in range(per_concept):
            sheet.paste(Image.fromarray(render(concept, index)), (left + _LABEL_WIDTH + index * step, top))
    return sheet
