"""Old names, until the commands import the new ones; then this file goes."""

from taxbench.board.exports import csv_text as csv_text
from taxbench.board.exports import json_text as json_text
from taxbench.board.text_table import LEGEND as LEGEND
from taxbench.board.text_table import text_table as markdown  # noqa: F401
