"""Train the LM from text alone: 3,000 steps, 14 million tokens, about half an hour on one core with AMX.

    taxbench pocket train-lm ONE
    taxbench pocket train-lm TWO --parts --known ONE    # 900 steps on parts and manner: the shipped weights
    taxbench pocket train-lm DIR --language de          # German added to the shipped weights

Expect, in the benchmark's wording and without pictures: macro-F1 .94 (AUROC .99) on everyday nouns and pairs whose
question was never asked in training, .93 where the pair was not even stated; .97 on trained pairs.
Stop it any time, it goes on from its checkpoint, which is deleted at the end. Constant learning rate, then a linear
decay over the last part of the run (Hu et al. 2024, MiniCPM), so a checkpoint taken before the decay can be trained on
for longer.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from taxbench.lms.frozen import FrozenLM
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.embeddings import initial_embeddings
from taxbench.pocket.train.evaluate import by_name, everyday_pairs, margins, score
from taxbench.pocket.train.lm_batches import BatchMaker, BatchShape, TokenBatch
from taxbench.pocket.train.lm_model import build_model, layers_of, losses
from taxbench.pocket.train.lm_rows import Phrasebook
from taxbench.pocket.train.part_rows import PartBatches
from taxbench.pocket.train.second_language import SecondLanguage, SecondLanguageBatches, with_words_of
from taxbench.pocket.train.tokenizer import save_tokenizer, train_tokenizer, wordnet_texts
from taxbench.registry.models import find_lm, model_source
from taxbench.specs.sources import LMSpec
from taxbench.tasks.language_files import find_language
from taxbench.taxonomy.wordnet import read_nouns
from taxbench.util.errors import TrainingError
from taxbench.util.paths import replacing

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that shapes the weights."""

    steps: int = 3000
    seed: int = 0
    vocabulary: int = 12288
    width: int = 256
    depth: int = 4
    mlp: int = 704
    question_rows: int = 84
    statement_rows: int = 12
    length: int = 48
    learning_rate: float = 2e-3
    warmup: int = 100
    decay_share: float = 0.4
    weight_decay: float = 0.05
    statement_weight: float = 0.5
    noise: float = 0.3
    """Mean standard deviation on half of the contexts, in root mean squares of the embeddings."""
    embedding_scale: float = 0.04
    first_pool: int = 600
    """How many of the most everyday names are in play at first; all of them after `growth` steps."""
    growth: int = 1500
    compiled: bool = True
    """Compile the step; costs a minute and needs a C++ compiler."""
    language: str = ""
    """A second language, to be added to known weights; empty: none."""
    parts: bool = False
    """Whether parts, materials and manner are added to known weights."""
    known: str = "pocket"
    """Those weights: an alias, or a folder."""
    added_share: float = 0.7
    """Share of the steps that are of what is added."""
    save_every: int = 200
    evaluate_every: int = 400

    @property
    def adds(self) -> bool:
        """Whether known weights are trained on; else training starts from nothing."""
        return self.parts or bool(self.language)


class Trainer:
    """Model, optimiser and step number: what a checkpoint holds."""

    def __init__(self, corpus: Corpus, out_dir: Path, settings: Settings, resume: bool = True) -> None:
        """Build everything from the seed, then load the checkpoint if there is one to go on from."""
        self.settings, self.out_dir, self.step = settings, out_dir, 0
        self._checkpoint = out_dir / _CHECKPOINT
        resumed = resume and self._checkpoint.exists()
        known, joined = Path(model_source(find_lm(settings.known).source)), list[tuple[int, int]]()
        language = find_language(settings.language) if settings.language else None
        if settings.adds and not (known / "tokenizer.json").is_file():
            raise TrainingError(f"--known {settings.known}: expected a folder that 'taxbench pocket train-lm' wrote.")
        if not resumed:
            if language:
                tokenizer, joined = with_words_of(language, known)
            elif settings.parts:
                tokenizer = Tokenizer.from_file(str(known / "tokenizer.json"))
            else:
                tokenizer = train_tokenizer(wordnet_texts(corpus), settings.vocabulary)
            save_tokenizer(tokenizer, out_dir)
        tokenizer = Tokenizer.from_file(str(out_dir / "tokenizer.json"))
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(out_dir)
        shape = BatchShape(settings.question_rows, settings.statement_rows, settings.length, settings.width)
        book = Phrasebook(corpus, tokenizer)
        self._maker = self._added = BatchMaker(corpus, book, shape, settings.seed)
        if language:
            words = SecondLanguage(language, corpus, book)
            self._added = SecondLanguageBatches(corpus, book, shape, settings.seed, words)
        elif settings.parts:
            self._added = PartBatches(corpus, book, shape, settings.seed)
        self._names = len(corpus.ranked)
        torch.manual_seed(settings.seed)
        self.model = build_model(tokenizer.get_vocab_size(), settings.width, settings.depth, settings.mlp)
        if not resumed and settings.adds:
            copy_grown(self.model, LlamaForCausalLM.from_pretrained(known, dtype=torch.float32), joined)
        elif not resumed:
            start = initial_embeddings(corpus, tokenizer, settings.width, settings.embedding_scale, settings.seed)
            self.model.get_input_embeddings().weight.data.copy_(start)
        self._optimizer = torch.optim.AdamW(
            _groups(self.model, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98), fused=True
        )
        self._losses = torch.compile(losses, dynamic=False) if settings.compiled else losses
        if resumed:
            self._restore()

    def _restore(self) -> None:
        """Load the checkpoint of the LM in training, to go on from it."""
        state = torch.load(self._checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict(), "step": self.step}
        with replacing(self._checkpoint) as partial:
            torch.save(state, partial)

    def train_step(self) -> tuple[float, float]:
        """Do one step and return the losses of questions and statements."""
        settings = self.settings
        table: Tensor = self.model.get_input_embeddings().weight
        size = float(table.detach().square().mean().sqrt())
        is_added = settings.adds and Random(f"{settings.seed}/{self.step}/language").random() < settings.added_share
        batch = (self._added if is_added else self._maker).batch(self.step, self._pool(), settings.noise * size)
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * self._rate()
        answer, statement = self._losses(
            _embed(table, batch), (layers_of(self.model), self.model.model.norm.weight), table, batch
        )
        torch.autograd.backward(answer + settings.statement_weight * statement)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        return float(answer.detach()), float(statement.detach())

    def _pool(self) -> int:
        """Return how many of the most everyday names are in play: an exponential growth to all of them."""
        if self.settings.adds:
            return self._names  # they are known
        share = min(self.step / self.settings.growth, 1.0)
        return int(self.settings.first_pool * (self._names / self.settings.first_pool) ** share)

    def _rate(self) -> float:
        """Return the factor on the learning rate: warm-up, constant, linear decay to a hundredth."""
        settings = self.settings
        left = (settings.steps - self.step) / max(settings.steps * settings.decay_share, 1.0)
        return min((self.step + 1) / settings.warmup, max(left, 0.01), 1.0)

    def export(self, folder: Path) -> None:
        """Write the weights in bf16 with the tokenizer, loadable by AutoModelForCausalLM."""
        copy = LlamaForCausalLM(self.model.config)
        copy.load_state_dict(self.model.state_dict())
        copy.to(torch.bfloat16).save_pretrained(folder)


def copy_grown(model: LlamaForCausalLM, known: LlamaForCausalLM, joined: list[tuple[int, int]]) -> None:
    """Copy weights into a model with more tokens; a new one begins as the mean of the two pieces that it joins."""
    blocks = {
        name: value for name, value in known.state_dict().items() if name.startswith(("model.layers", "model.norm"))
    }
    model.load_state_dict(blocks, strict=False)
    table, first = model.get_input_embeddings().weight.data, known.config.vocab_size
    table[:first] = known.get_input_embeddings().weight.data
    for token, (left, right) in enumerate(joined, first):
        table[token] = (table[left] + table[right]) / 2


_ADDING = Settings(steps=900, learning_rate=1e-3, warmup=50, growth=1, evaluate_every=300)


def adding_settings(language: str, steps: int | None = None, known: str = "pocket") -> Settings:
    """Return the settings that add a language to known weights, or where it is empty parts and manner."""
    share = _ADDING.added_share if language else 0.5
    return replace(_ADDING, steps=steps or _ADDING.steps, known=known, language=language, parts=not language,
                   added_share=share)  # fmt: skip


def _groups(model: LlamaForCausalLM, weight_decay: float) -> list[dict[str, object]]:
    """Decay matrices only, not norms and not the embeddings of rare words."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "embed" in name]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _embed(table: Tensor, batch: TokenBatch) -> Tensor:
    """Look the tokens up in bf16 and make half of the contexts noisy.  # (b, l, d)"""
    embedded = F.embedding(batch.ids, table)
    after = embedded.shape[1] - 1 - batch.noise.shape[1]
    return (embedded + F.pad(batch.noise, (0, 0, 1, after))).to(torch.bfloat16)


def _watch(trainer: Trainer, corpus: Corpus) -> str:
    """Score everyday nouns on held-out pairs and return a line for the log."""
    pairs = everyday_pairs(corpus, seed=1)
    lm = FrozenLM(LMSpec(name="wordnet-lm", source=""), trainer.model, trainer.tokenizer, "", torch.device("cpu"))
    parts = []
    for kind, asked in (("unseen", pairs.unseen), ("unasked", pairs.unasked), ("trained", pairs.trained[-1500:])):
        found = by_name(score(asked, margins(lm, asked)))
        parts.append(f"{kind} F1 {found['macro-F1']:.3f} AUROC {found['AUROC']:.3f}")
    return f"step {trainer.step}: " + ", ".join(parts)


def train_lm(out_dir: Path, settings: Settings, corpus: Corpus | None = None) -> None:
    """Train to the last step, evaluate now and then, and write the weights; an interrupted run goes on.

    What is trained with the same settings already is left as it is, and said to be there; what was begun with others
    is begun anew.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint, about = out_dir / _CHECKPOINT, out_dir / "settings.json"
    text = json.dumps(asdict(settings), indent=2) + "\n"
    is_alike = about.exists() and about.read_text(encoding="utf-8") == text
    if is_alike and (out_dir / "model.safetensors").exists() and not checkpoint.exists():
        tqdm.write(f"An LM of these settings is in '{out_dir}' already.")
        return
    corpus = corpus or Corpus(read_nouns())
    trainer = Trainer(corpus, out_dir, settings, resume=is_alike)
    (out_dir / "model.safetensors").unlink(missing_ok=True)  # of other settings: never beside these
    if not is_alike:
        if checkpoint.exists():
            tqdm.write(f"What other settings began in '{out_dir}' is begun anew.")
        checkpoint.unlink(missing_ok=True)
        with replacing(about) as partial:
            partial.write_text(text, encoding="utf-8")
    with tqdm(total=settings.steps, initial=trainer.step, unit="step") as bar:
        try:
            while trainer.step < settings.steps:
                answer, statement = trainer.train_step()
                bar.update()
                bar.set_postfix(answer=f"{answer:.3f}", statement=f"{statement:.2f}")
                if trainer.step % settings.evaluate_every == 0:
                    bar.write(_watch(trainer, corpus))
                if trainer.step % settings.save_every == 0:
                    trainer.save()
        finally:
            trainer.save()
    trainer.export(out_dir)
    checkpoint.unlink()
