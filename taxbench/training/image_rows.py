"""Questions grouped by image, so that an image's questions share one packed row."""

from dataclasses import dataclass

import numpy as np

from taxbench.protocol.questions import QuestionSet


@dataclass(frozen=True, slots=True)
class ImageRows:
    """One row an image; rows with fewer questions are padded with term −1."""

    image: np.ndarray  # (r,) int64
    term: np.ndarray  # (r, q) int64
    answer: np.ndarray  # (r, q) bool
    source: np.ndarray  # (r, q) int64, row of the question set, −1 for padding


def group_by_image(questions: QuestionSet, most: int) -> ImageRows:
    """Put each image's questions in one row, or in several of at most `most` questions."""
    order = np.argsort(questions.image, kind="stable")
    image = questions.image[order]
    starts = np.flatnonzero(np.r_[True, image[1:] != image[:-1]])
    rank = np.arange(len(image)) - np.repeat(starts, np.diff(np.r_[starts, len(image)]))  # place within the image
    column = rank % most
    row = np.cumsum(column == 0) - 1
    shape = (int(row[-1]) + 1, int(column.max()) + 1)
    term, source = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
    answer = np.zeros(shape, bool)
    term[row, column], answer[row, column], source[row, column] = questions.term[order], questions.answer[order], order
    return ImageRows(image[column == 0], term, answer, source)
