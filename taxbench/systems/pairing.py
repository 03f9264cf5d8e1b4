"""Systems that read a picture and a text together: one head for the matching of pairs, one for a masked word."""

import torch
from torch import Tensor, nn

from taxbench.heads.base import Head
from taxbench.heads.label_head import Hubness, LabelHead
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.words import with_article
from taxbench.systems.text_side import TextSide

CAPTION = "a photo of {}."
"""What a term is said in."""
_PAIRS = 64  # at a time


class PairHead(Head):
    """A head that shows the system each picture with each asked term; its log odds are the margins."""

    def __init__(self, side: TextSide, terms: tuple[str, ...]) -> None:
        super().__init__(nn.Identity(), torch.zeros(1), torch.ones(1))
        self._side = (side,)  # no part of the head: a tuple hides it
        self._tokens = side.tokens([CAPTION.format(with_article(term)) for term in terms])

    @torch.inference_mode()
    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer | None) -> Tensor:
        """Ask about pairs; return log odds.  # (b, t, f), (b, q) → (b, q)"""
        (side,), found = self._side, features.new_zeros(terms.shape)
        read = side.whole.architecture.pairs
        assert read is not None, side.whole.spec.name
        for part in torch.split((terms >= 0).nonzero(), _PAIRS):
            image, place = part.T
            tokens = {name: ids[terms[image, place]] for name, ids in self._tokens.items()}
            found[image, place] = read(side.model, features[image], tokens).float()
        return found


class MaskedHead(LabelHead):
    """A head that reads how likely each term's first token is where the caption's word is left out."""

    def __init__(self, side: TextSide, terms: tuple[str, ...], n_names: int, hubness: Hubness) -> None:
        super().__init__(nn.Identity(), (torch.zeros(1), torch.ones(1)), torch.ones(len(terms), 1), n_names, hubness)
        self._side = (side,)
        self._caption = side.tokens([CAPTION.format(f"a {side.tokenizer.mask_token}")])
        self._words = [side.tokenizer.encode(f" {term}", add_special_tokens=False)[0] for term in terms]

    @torch.inference_mode()
    def cosines(self, mapped: Tensor) -> Tensor:
        """Return log p of all terms, in the place of cosines.  # (b, t, f) → (b, v)"""
        (side,), parts = self._side, []
        read = side.whole.architecture.masked
        assert read is not None, side.whole.spec.name
        place = int((self._caption["input_ids"][0] == side.tokenizer.mask_token_id).nonzero())
        for part in torch.split(mapped, _PAIRS):
            tokens = {name: ids.expand(len(part), -1) for name, ids in self._caption.items()}
            logits = read(side.model, part, tokens)[:, place].float()
            parts.append(logits.log_softmax(-1)[:, self._words])
        return torch.cat(parts)
