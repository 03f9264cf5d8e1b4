"""The leaderboard: from records on disk to tables, a page and figures.

`found` reads records, `table` makes rows of them, `entries` and `groups` what is ranked and averaged, all of it in the
terms of `model`; `build` writes every form. `forms` is text and pictures, `page` the HTML file, `submissions` what
checks and adds a stranger's records, and `findings` what is asked of records besides: comparisons and analyses.
"""
