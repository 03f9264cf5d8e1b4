"""Label vectors: what they are, that padding leaves them alone, and the cache that keeps them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from taxbench.lms import label_vectors as module
from taxbench.lms.frozen import FrozenLM, random_twin
from taxbench.lms.label_vectors import TEMPLATES, label_vectors
from taxbench.util.errors import ModelError
from tests.conftest import save_tiny_lm
from tests.lms.naive import load

TERMS = ("crow", "salamander tool", "clothing", "owl")


@pytest.fixture(scope="module", params=["llama", "gpt2", "gpt_neox"])
def lm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenLM:
    folder = save_tiny_lm(request.param, tmp_path_factory.mktemp("labels") / request.param)
    return load(folder)


def test_vectors_are_those_of_one_text_at_a_time(lm: FrozenLM) -> None:
    found = label_vectors(lm, TERMS)
    assert set(found) == {"input", "template_1", "template_2", "last"}
    saying = {"crow": "a crow", "salamander tool": "a salamander tool", "clothing": "clothing", "owl": "an owl"}
    for row, term in enumerate(TERMS):
        own = lm.tokenizer(f" {term}", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            embedded = lm.model.get_input_embeddings()(torch.tensor(own)).mean(0)
            states = []
            for template in TEMPLATES:
                text = template.format(a_term=saying[term])
                ids = torch.tensor([[*lm.bos(), *lm.tokenizer(text, add_special_tokens=False)["input_ids"]]])
                output = lm.model(ids, output_hidden_states=True)
                states.append([layer[0, -1] for layer in output.hidden_states])
        assert np.allclose(found["input"][row], embedded, atol=1e-6)
        for layer in (1, 2):
            expected = torch.stack([state[layer] for state in states]).mean(0)
            assert np.allclose(found[f"template_{layer}"][row], expected, atol=1e-4)


@pytest.mark.parametrize(
    "depth, layers", [(2, [1, 2]), (8, [1, 2, 3, 4, 5, 6, 7, 8]), (28, [4, 7, 11, 14, 18, 21, 25, 28])]
)
def test_of_many_layers_eight_are_looked_at(depth: int, layers: list[int]) -> None:
    assert module._spread(depth) == layers


def test_the_cache_gives_back_what_was_computed(lm: FrozenLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = label_vectors(lm, TERMS, tmp_path)
    (path,) = (tmp_path / "labels").iterdir()
    with h5py.File(path) as file:  # plain h5py reads it
        assert file["vectors/input"].chunks is None and file["terms"].asstr()[1] == TERMS[1]
        assert lm.digest in file.attrs["key"]
    monkeypatch.setattr(module, "_compute", lambda *_: pytest.fail("computed again"))
    again = label_vectors(lm, TERMS, tmp_path)
    assert all(np.array_equal(made[kind], again[kind]) and again[kind].dtype == np.float32 for kind in made)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(range(64))
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:3000]),
    lambda path: path.write_text("not HDF5"),
    lambda path: _set(path, "vectors/input", np.zeros((4, 32), np.float32)),
    lambda path: _set(path, "vectors/other", np.zeros((4, 32), np.float32)),
    lambda path: _set_key(path),
    _flip,
])  # fmt: skip
def test_a_damaged_or_foreign_file_is_made_anew(lm: FrozenLM, tmp_path: Path, damage: object) -> None:
    made = label_vectors(lm, TERMS, tmp_path)
    (path,) = (tmp_path / "labels").iterdir()
    damage(path)  # type: ignore[operator]
    found = label_vectors(lm, TERMS, tmp_path)
    assert found.keys() == made.keys() and all(np.array_equal(made[kind], found[kind]) for kind in made)
    with h5py.File(path) as file:
        assert np.array_equal(file["vectors/input"][:], made["input"])


def _set(path: Path, name: str, values: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        if name in file:
            file[name][:] = values
        else:
            file.create_dataset(name, data=values)


def _set_key(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["key"] = file.attrs["key"].replace("float32", "float16")


def test_what_changes_a_number_is_in_the_key(lm: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {module._key(lm, TERMS), module._key(lm, TERMS[:2]), module._key(lm, (*TERMS[1:], TERMS[0]))}
    for twin in (random_twin(lm, 1), random_twin(lm, 2)):
        keys.add(module._key(twin, TERMS))
    for name, value in (("TEMPLATES", ("x {a_term}",)), ("PROMPT", "{term}"), ("_MOST_LAYERS", 4)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            keys.add(module._key(lm, TERMS))
    assert len(keys) == 8


def test_words_longer_than_the_model_s_positions_are_an_error(tmp_path: Path) -> None:
    lm = load(save_tiny_lm("gpt2", tmp_path / "short"))
    with pytest.raises(ModelError, match=r"more than the 512 positions of 'short'.*--head mlp"):
        label_vectors(lm, ("crow " * 600,))
