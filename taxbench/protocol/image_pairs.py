"""Two images in one question: how they are called, and a second one beside each that training asks about.

Images are numbered 0 to n − 1, and two of them in one question first + n · (second + 1).
"""

from collections.abc import Container, Sequence

import numpy as np

from taxbench.protocol.questions import QuestionSet
from taxbench.util.errors import DataError

AND = " & "
"""Stands between the ids of two images in one question, and between their leaves."""


def shown_as(images: Sequence[str], image: int) -> str:
    """Return what the image of a question is called: its id, of two images both."""
    first, second = image % len(images), image // len(images) - 1
    return images[first] if second < 0 else f"{images[first]}{AND}{images[second]}"


def ids_in(name: str, known: Container[str]) -> tuple[str, ...]:
    """Return the ids behind what `shown_as` calls the image of a question: of one image its own, of two both.

    Args:
        known: The ids of images: one may look like two others.
    """
    if AND in name and name not in known:
        words = name.split(AND)
        for place in range(1, len(words)):
            first, second = AND.join(words[:place]), AND.join(words[place:])
            if first in known and second in known:
                return first, second
    return (name,)


def first_ids(names: Sequence[str]) -> dict[str, int]:
    """Return what the first image of each pair may be called, and of which of the names it is the beginning.

    Whatever is second in one pair is first in another, so these are ids enough to know the pairs of a test by.
    """
    return {
        AND.join(words[:place]): number
        for number, words in enumerate(name.split(AND) for name in names)
        for place in range(1, len(words))
    }


def with_second(asked: QuestionSet, name: np.ndarray, images: np.ndarray, draw: np.random.Generator) -> QuestionSet:
    """Put beside each image that is asked about another of another name; half of the wrong names asked are its.

    So the right answer takes knowing which image is the first, and is learnt from names of leaves alone.

    Args:
        asked: Questions about single images; what asks no name stays as it is.
        name: What each of the n images is called.  # (n,) int
        images: Of which second ones are drawn.  # (m,)
        draw: What draws.

    Raises:
        DataError: there is no image of another name.
    """
    if len(np.unique(name[images])) < 2:
        raise DataError("Two images of different names are asked about, and all that there are have one name.")
    n, second = len(name), np.full(len(name), -1)
    first = np.unique(asked.image)
    while len(first):
        second[first] = draw.choice(images, len(first))
        first = first[name[second[first]] == name[first]]
    beside = second[asked.image]
    swapped = ~asked.answer & (asked.term <= name.max()) & (draw.random(len(asked)) < 0.5)
    term = np.where(swapped, name[beside], asked.term)
    return QuestionSet(asked.image + n * (beside + 1), term, asked.answer)
