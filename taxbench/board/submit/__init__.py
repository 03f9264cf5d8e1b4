"""A stranger's records: looked through, checked, added to a leaderboard, and sent to the hub."""
