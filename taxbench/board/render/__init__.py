"""The board as text, files for other programs, and figures."""
