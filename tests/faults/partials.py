"""Damage a shard that was being filled, go on, and see that the damage is found, mended, and nothing else redone."""

from pathlib import Path

import numpy as np

from taxbench.features.store.layout import Skeleton, make_skeleton
from taxbench.features.store.writer import partial_path, shard_path
from taxbench.util.errors import TaxbenchError
from tests.faults.damage import Findings, Patient, flipped
from tests.faults.logged import Logged
from tests.faults.writer import extract


def damage_partials(patient: Patient, n: int, rng: np.random.Generator) -> Findings:
    """Turn a sealed shard back into a partial one, damage it, extract again; the patient must have one entry."""
    findings = Findings()
    for i in range(n):
        shard = int(rng.integers(patient.survey.layouts[0].shards))
        skeleton = skeleton_of(patient, shard)
        data, words = _damaged(patient.truth.files[0][shard], skeleton, i, rng)
        folder = patient.survey.folders[0]
        shard_path(folder, shard).unlink()
        partial_path(folder, shard).write_bytes(data)
        _go_on(patient, shard, data, findings, f"shard {shard}: {words}")
    return findings


def skeleton_of(patient: Patient, shard: int) -> Skeleton:
    """Return the fixed part of a shard of the first entry."""
    survey = patient.survey
    rows = survey.layouts[0].rows_of(shard)
    names = [(image.id, image.digest) for image in survey.job.images[rows.start : rows.stop]]
    return make_skeleton(survey.keys[0], survey.layouts[0], shard, names)


def _damaged(whole: bytes, skeleton: Skeleton, kind: int, rng: np.random.Generator) -> tuple[bytearray, str]:
    data = bytearray(whole)
    seal = skeleton.offsets["seal"]
    data[seal : seal + 16] = bytes(16)
    features = skeleton.offsets["features"]
    match kind % 6:
        case 0:
            bit = int(rng.integers(8 * len(data)))
            return flipped(bit)(data), f"bit {bit} flipped"
        case 1:
            bit = int(rng.integers(8 * features))
            return flipped(bit)(data), f"bit {bit} flipped"
        case 2:
            length = int(rng.integers(len(data)))
            return data[:length], f"cut to {length} bytes"
        case 3:
            start = int(rng.integers(features, len(data)))
            length = int(rng.integers(1, len(data) - start + 1))
            data[start : start + length] = bytes(length)
            return data, f"{length} bytes from {start} never written"
        case 4:
            offset, part = skeleton.parts[rng.integers(len(skeleton.parts))]
            bit = 8 * offset + int(rng.integers(8 * len(part)))
            return flipped(bit)(data), f"bit {bit} of what is fixed flipped"
        case _:
            digests = skeleton.offsets["block_digests"]
            data[digests : digests + 8] = bytes(8)
            return data, "the first block's digest never written"


def _go_on(patient: Patient, shard: int, data: bytearray, findings: Findings, words: str) -> None:
    """Extract what is missing; exactly the spans of damaged blocks may be encoded, or all if what is fixed is not."""
    before = len(findings.problems)
    survey, skeleton = patient.survey, skeleton_of(patient, shard)
    fixed = all(data[offset : offset + len(part)] == part for offset, part in skeleton.parts)
    ours = len(data) == skeleton.size and fixed
    expected = survey.missing_spans() if ours else {survey.span_of(row) for row in survey.layouts[0].rows_of(shard)}
    log = Logged(survey.job.photos, survey.job.cache / "log")
    log.log.unlink(missing_ok=True)
    try:
        (table,) = extract(survey.job, log.log)
        findings.wrong_rows += patient.truth.wrong_rows(0, table)
        findings.problems += [f"{words}: {problem}" for problem in table.check_all()]
    except TaxbenchError as error:
        findings.problems.append(f"{words}: {error}")
    row_of = {image.id: row for row, image in enumerate(survey.job.images)}
    encoded = {survey.span_of(row_of[name]) for name in log.read()}
    if encoded != expected:
        findings.problems.append(f"{words}: spans {sorted(expected)} were damaged, {sorted(encoded)} encoded")
    path = shard_path(survey.folders[0], shard)
    if _without_gaps(path, skeleton) != _without_gaps(patient.truth.files[0][shard], skeleton):
        findings.problems.append(f"{words}: the shard differs from an uninterrupted one")
    path.write_bytes(patient.truth.files[0][shard])
    findings.right += len(findings.problems) == before


def _without_gaps(source: Path | bytes, skeleton: Skeleton) -> list[bytes]:
    """Return every byte that means something: a flip in the padding between datasets stays, and harms nobody."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    starts = sorted(skeleton.offsets.values())
    lengths = {skeleton.offsets["seal"]: 16, skeleton.offsets["status"]: len(skeleton.ids)}
    lengths[skeleton.offsets["features"]] = len(data)
    lengths[skeleton.offsets["block_digests"]] = 8
    fixed = [bytes(data[offset : offset + len(part)]) for offset, part in skeleton.parts]
    return [*fixed, *(bytes(data[start : start + lengths[start]]) for start in starts)]
