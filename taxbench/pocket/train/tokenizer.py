"""A lower-cased byte-level BPE whose words look the same at the start of a text and after a space."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.reading_questions import HELDOUT_TEMPLATES, TRAINING_TEMPLATES
from taxbench.util.errors import ModelError

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
YES, NO = " Yes", " No"
_MAX_LENGTH = 256


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn the merges from texts; what stands in them often becomes one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    # With a prefix space "crow" alone and " crow" inside a question are one token, so one embedding.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Return the id of a special token; raise ModelError where the tokenizer has none."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ModelError(f"The tokenizer has no token {token}. Was it made by train_tokenizer?")
    return int(found)


def wordnet_texts(corpus: Corpus) -> Iterator[str]:
    """Yield the text of WordNet: wordings, names by familiarity, so that everyday ones become one token, glosses."""
    for template in (*TRAINING_TEMPLATES, *HELDOUT_TEMPLATES):
        yield from [template.format(a_term="a crow", term="bird")] * 500
    yield from [f"{YES}{NO} a photo of a kind of kinds of is also called"] * 500
    for name in corpus.ranked.tolist():
        yield from [corpus.names[name]] * (1 + int(2 * corpus.familiarity[name]))
    for synset in sorted(corpus.physical):
        yield corpus.nouns.synsets[synset].gloss


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and the configuration AutoTokenizer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "model_max_length": _MAX_LENGTH,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
