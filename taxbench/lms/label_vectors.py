"""Vectors that stand for words in a language model: of its input, of its layers, of what it would say next.

One HDF5 file a model and list of terms, `cache/labels/<digest>.h5`, readable with plain h5py: a contiguous dataset
(n, d) float32 for each kind of vector, the terms, and the key as JSON in the attribute `key`. Vectors are quickly made,
so a file that is damaged, or is not what its name says, is made anew and replaced.
"""

from pathlib import Path

import numpy as np
import torch
import xxhash
from torch import Tensor

from taxbench._version import NUMERICS
from taxbench.lms.frozen import FrozenLM, text_tokens
from taxbench.protocol.words import with_article
from taxbench.specs.spec import canonical_json
from taxbench.util.devices import dtype_name
from taxbench.util.errors import ModelError
from taxbench.util.paths import replacing

# The term ends each of them, and a causal model does not look ahead: what might follow would change nothing.
TEMPLATES = (
    "a photo of {a_term}",
    "This is {a_term}",
    "There is {a_term}",
    "I see {a_term}",
    "It looks like {a_term}",
    "an example of {a_term}",
)
# What the model is about to say sums the term up (PromptEOL: Jiang et al., 2023, arXiv 2307.16645).
PROMPT = 'The word "{term}" means in one word: "'
_MOST_LAYERS = 8
_BATCH = 64
_FOLDER = "labels"


def label_vectors(lm: FrozenLM, terms: tuple[str, ...], cache: Path | None = None) -> dict[str, np.ndarray]:
    """Return vectors of terms of every kind, from the cache if it has them.  # kind → (n, d) float32

    `input`: the mean of the input embeddings of the term's tokens. `template_L`: the state at the term's last token
    after layer L, mean over templates; every layer, or eight spread ones. `last`: the last state of a prompt that asks
    for the term in one word, after the last layer.

    Raises:
        ModelError: a vector is not finite, or a text is longer than the model knows positions.
        CacheError: the cache cannot be written.
    """
    if cache is None:
        return _compute(lm, terms)
    key = _key(lm, terms)
    path = cache / _FOLDER / f"{xxhash.xxh3_128_hexdigest(key.encode())}.h5"
    found = _read(path, key)
    if found is None:
        found = _compute(lm, terms)
        _write(path, key, terms, found)
    return found


def _key(lm: FrozenLM, terms: tuple[str, ...]) -> str:
    """Return the cache key of label vectors: everything that changes a number of theirs."""
    import transformers

    return canonical_json(
        {
            "lm": lm.digest,
            "dtype": dtype_name(lm.dtype),
            "device": lm.device.type,
            "terms": xxhash.xxh3_128_hexdigest("\n".join(terms).encode()),
            "templates": TEMPLATES,
            "prompt": PROMPT,
            "layers": _MOST_LAYERS,
            "code": f"{NUMERICS} torch {torch.__version__} transformers {transformers.__version__}",
        }
    )


@torch.inference_mode()
def _compute(lm: FrozenLM, terms: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Compute the label vectors of terms by kind: input embeddings, template states, prompted state."""
    found: dict[str, Tensor] = {
        "input": torch.stack([lm.embed(text_tokens(lm, f" {term}", "a")).float().mean(0) for term in terms])
    }
    for template in TEMPLATES:
        for layer, states in _states(lm, [template.format(a_term=with_article(term)) for term in terms]).items():
            name = f"template_{layer}"
            found[name] = found.get(name, 0) + states / len(TEMPLATES)
    prompted = _states(lm, [PROMPT.format(term=term) for term in terms])
    found["last"] = prompted[max(prompted)]
    for kind, vectors in found.items():
        if not torch.isfinite(vectors).all():
            raise ModelError(
                f"'{lm.spec.name}' gives vectors of words ({kind}) that are not finite in {lm.dtype}, so it cannot "
                "serve heads that are read by label vectors."
            )
    return {kind: vectors.cpu().numpy() for kind, vectors in found.items()}


def _states(lm: FrozenLM, texts: list[str]) -> dict[int, Tensor]:
    """Return the states at the last tokens of texts, after each layer looked at.  # layer → (n, d)"""
    rows = [[*lm.bos(), *lm.encode(text)] for text in texts]
    longest = max(range(len(rows)), key=lambda row: len(rows[row]))
    if lm.positions is not None and len(rows[longest]) > lm.positions:
        raise ModelError(
            f"'{texts[longest]}' has {len(rows[longest])} tokens, more than the {lm.positions} positions of "
            f"'{lm.spec.name}', so words have no vectors there. Take a head that reads answers, such as --head mlp."
        )
    found: dict[int, Tensor] = {}
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        length = torch.tensor([len(row) for row in part], device=lm.device)
        ids = torch.zeros(len(part), int(length.max()), dtype=torch.int64)
        for number, row in enumerate(part):
            ids[number, : len(row)] = torch.tensor(row)
        mask = (torch.arange(ids.shape[1], device=lm.device) < length[:, None]).long()  # padding comes last, unseen
        output = lm.model.base_model(
            input_ids=ids.to(lm.device), attention_mask=mask, output_hidden_states=True, use_cache=False
        )
        layers = output.hidden_states
        for layer in _spread(len(layers) - 1):
            states = layers[layer][torch.arange(len(part)), length - 1].float()
            found.setdefault(layer, states.new_zeros(len(rows), states.shape[1]))[start : start + len(part)] = states
    return found


def _spread(depth: int) -> list[int]:
    """Return the layers to look at, the last one among them."""
    return sorted({-(-depth * part // _MOST_LAYERS) for part in range(1, _MOST_LAYERS + 1)})


def _read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """Return the label vectors that a file holds, or nothing where it is missing, damaged or another's."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = {str(kind): np.asarray(values[:]) for kind, values in file["vectors"].items()}
            whole = file.attrs["key"] == key and file.attrs["digest"] == _digest(key, found)
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError):  # as h5py says none, or damage
        return None
    return found if whole else None


def _write(path: Path, key: str, terms: tuple[str, ...], found: dict[str, np.ndarray]) -> None:
    """Write label vectors of every kind to their HDF5 file in the cache, with key and digest."""
    import h5py

    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file.attrs["key"], file.attrs["digest"] = key, _digest(key, found)
        file.create_dataset("terms", data=list(terms), dtype=h5py.string_dtype())
        for kind, vectors in found.items():
            file.create_dataset(f"vectors/{kind}", data=vectors)


def _digest(key: str, found: dict[str, np.ndarray]) -> str:
    """Return the digest of a file of label vectors: its key, and the vectors of every kind."""
    state = xxhash.xxh3_128(key.encode())
    for kind in sorted(found):
        state.update(f"{kind} {found[kind].dtype} {found[kind].shape}".encode())
        state.update(found[kind].tobytes())
    return str(state.hexdigest())
