"""Where downloaded datasets are looked for when the command line gives no path."""

import os
from pathlib import Path


def data_home(dataset: str) -> Path:
    """Return the folder of a dataset: in TAXBENCH_DATA, else in the user's data folder."""
    if named := os.environ.get("TAXBENCH_DATA"):
        return Path(named).expanduser() / dataset
    import platformdirs

    return Path(platformdirs.user_data_dir("taxbench")) / dataset
