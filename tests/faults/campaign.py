"""The fault campaign at length: `python -m tests.faults.campaign --kills 300 --faults 2000 --seed 7`."""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.faults import damage
from tests.faults.damage import Findings, Patient
from tests.faults.kills import Campaign, Tally
from tests.faults.partials import damage_partials
from tests.faults.pictures import Broken, make_pictures
from tests.faults.writer import Job

_BROKEN = Broken(garbage=(3, 200), empty=(500,))
_FEW_BROKEN = Broken(garbage=(5,), empty=(40,))


def kill(kills: int, seed: int, folder: Path) -> Tally:
    """Kill so many writers over several caches of 640 pictures, three of which are none."""
    dataset = make_pictures(folder / "data", 640, _BROKEN, seed)
    caches = folder / "caches"
    caches.mkdir()
    job = Job(dataset.images, folder / "data" / "photos", caches)
    return Campaign(job, caches, np.random.default_rng(seed)).kill(kills)


def patients(folder: Path) -> tuple[Patient, Patient, Patient]:
    """Return a finished cache with two entries, one of other pictures, and one with one entry."""
    both = ("pooled", "grid2")
    jobs = []
    for name, pools, small in (("a", both, (16, 32)), ("b", both, (16, 32)), ("c", ("pooled",), (16, 64))):
        images = make_pictures(folder / f"data-{name}", 96, _FEW_BROKEN, seed=ord(name)).images
        jobs.append(Job(images, folder / f"data-{name}" / "photos", folder / f"cache-{name}", pools, small=small))
    one, other, single = (Patient(job, folder) for job in jobs)
    return one, other, single


def damaged(faults: int, seed: int, folder: Path) -> dict[str, Findings]:
    """Damage finished and unfinished caches about so many times."""
    rng = np.random.default_rng(seed)
    one, other, single = patients(folder)
    return {
        "bit flips in sealed shards": damage.flip_bits(one, faults // 3, rng),
        "bit flips in manifests": damage.flip_manifests(one, faults // 4, rng),
        "truncated shards": damage.truncate(one, faults // 8, rng),
        "swapped blocks": damage.swap_blocks(one, other, faults // 8, rng),
        "other files in a shard's place": damage.strangers(one, other),
        "damaged partial shards, extracted again": damage_partials(single, faults // 8, rng),
    }


def main() -> int:
    """Run the campaign, print what it found, and exit with 1 if a row was wrong or anything else was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--faults", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        kills = kill(options.kills, options.seed, Path(folder)) if options.kills else Tally()
        faults = damaged(options.faults, options.seed, Path(folder)) if options.faults else {}
    seconds = time.perf_counter() - start
    if options.json:
        found = {"kills": asdict(kills), "faults": {name: asdict(each) for name, each in faults.items()}}
        print(json.dumps({**found, "seed": options.seed, "seconds": round(seconds, 1)}, indent=1))
    else:
        _print(kills, faults)
        print(f"\n{seconds:.0f} s, seed {options.seed}")
    everything: list[Tally | Findings] = [kills, *faults.values()]
    return 1 if any(each.wrong_rows or each.problems for each in everything) else 0


def _print(kills: Tally, faults: dict[str, Findings]) -> None:
    for name, count in kills.kills_of.items():
        print(f"{name:<50} {count:5} kills")
    print(
        f"{kills.kills} kills over {kills.caches} caches, {kills.runs} writers. {kills.rows_compared} rows compared, "
        f"{kills.wrong_rows} wrong. {kills.rows_encoded} rows encoded, {kills.rows_recomputed} of them lost and "
        f"encoded again, at most {kills.most_spans_lost} spans in one kill."
    )
    print(f"\n{'fault':<42} {'tried':>6} {'named':>6} {'right':>8} {'wrong rows':>10} {'problems':>8}")
    for name, found in faults.items():
        counts = f"{found.named:6} {found.right:8} {found.wrong_rows:10} {len(found.problems):8}"
        print(f"{name:<42} {found.tried:6} {counts}")
    for problems in (kills.problems, *(found.problems for found in faults.values())):
        print(*problems, sep="\n", end="\n" if problems else "")


if __name__ == "__main__":
    sys.exit(main())
