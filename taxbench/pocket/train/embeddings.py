"""Start the token embeddings from the text itself: latent semantic analysis of "document = one synset".

Deerwester et al. 1990. Random embeddings make the model spend a third of its training finding out that crows and ducks
turn up in the same company; the singular vectors of the training text's token-by-synset table say so at once.
The documents obey the held-out design: a category never stated of a synset is left out of its document.
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from sklearn.utils.extmath import randomized_svd
from tokenizers import Tokenizer

from taxbench.pocket.train.corpus import Corpus

_NAME, _CATEGORY, _GLOSS = 3.0, 1.0, 1.0


def initial_embeddings(corpus: Corpus, tokenizer: Tokenizer, width: int, scale: float, seed: int) -> torch.Tensor:
    """Return token embeddings of the given root mean square.  # (vocabulary, width)"""
    table = _token_table(corpus, tokenizer)
    spread = np.maximum(np.bincount(table.indices, minlength=table.shape[1]), 1)
    rarity = np.log(table.shape[0] / spread)
    weighted = (table @ diags(rarity)).T.tocsr()  # (vocabulary, synsets)
    left, strength, _ = randomized_svd(weighted, n_components=width, n_iter=3, random_state=seed)
    # The square root keeps the few strongest topics from drowning the rest.
    vectors = left * np.sqrt(strength)
    norms = np.sqrt((vectors**2).mean(axis=1, keepdims=True))
    noise = np.random.default_rng(seed).standard_normal(vectors.shape)
    vectors = scale * (0.9 * vectors / np.maximum(norms, 1e-8) + 0.45 * noise)
    return torch.from_numpy(vectors.astype(np.float32))


def _token_table(corpus: Corpus, tokenizer: Tokenizer) -> csr_matrix:
    """Count the tokens of each synset's names, stated categories and gloss.  # (synsets, vocabulary)"""
    rows, columns, values = [], [], []
    synsets = sorted(corpus.physical)
    names = _encode(tokenizer, corpus.names)
    glosses = _encode(tokenizer, [corpus.nouns.synsets[synset].gloss for synset in synsets])
    for row, (synset, gloss) in enumerate(zip(synsets, glosses, strict=True)):
        own = corpus.lemmas[synset]
        hidden = {term for name in own for sense in corpus.senses[name] for term in corpus.unseen.get(sense, ())}
        categories = corpus.true_terms[synset] - hidden - set(own)
        parts = [(_NAME, names[name]) for name in own] + [(_GLOSS, gloss)]
        parts += [(_CATEGORY, names[name]) for name in sorted(categories)]
        for value, ids in parts:
            rows += [row] * len(ids)
            columns += ids
            values += [value] * len(ids)
    table = csr_matrix((values, (rows, columns)), shape=(len(synsets), tokenizer.get_vocab_size()))
    table.data = np.log1p(table.data)
    return table


def _encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Return the token ids of each text, without BOS."""
    return [list(found.ids) for found in tokenizer.encode_batch(texts, add_special_tokens=False)]
