"""The board as one HTML file, with its templates, style and script."""
