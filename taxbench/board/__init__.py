"""The leaderboard: from records on disk to tables, a page and figures.

`load` reads records, `rows` averages them over seeds, `roles` says which part of the question a task asks, `entries`
ranks, `group_averages` averages over tasks; `board` is the model of it all, and `build` writes every form. `render` is
text and pictures, `page` the HTML file, `submit` checks and adds a stranger's records, and `analysis` compares systems.
"""
