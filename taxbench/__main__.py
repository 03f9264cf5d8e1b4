"""`python -m taxbench` is `taxbench`."""

from taxbench.cli.main import main

main()
