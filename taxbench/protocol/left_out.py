"""What a protocol leaves out of training and test, in words: nothing is left out, or left in, silently."""

from collections.abc import Iterator

from taxbench.protocol.protocol import Protocol
from taxbench.util.errors import DataError, first_few

_SHOWN = 14


def unlabelled_terms(protocol: Protocol) -> Iterator[str]:
    """Say which hypernyms and names of leaves training or test does not ask for want of a reviewed label."""
    if not (lacking := {*protocol.unlabelled}):
        return
    language, n = protocol.task.questions.language, protocol.vocabulary.n_names
    asked = protocol.vocabulary.terms[: protocol.vocabulary.n_taught]
    for what, terms in (("hypernyms", asked[n:]), ("names of leaves", asked[:n])):
        missing = [term for term in terms if term in lacking]
        if missing and what == "names of leaves" and not _asks_names(protocol):
            yield f"no leaf has a reviewed label in '{language}'; leaves are asked in the language of training"
        elif missing:
            has, is_not = ("has", "is not") if len(missing) == 1 else ("have", "are not")
            count = f"{len(missing)} of {len(terms)} {what} {has} no reviewed label in '{language}'"
            yield f"{count} and {is_not} asked in it: {first_few(missing, _SHOWN)}"


def _asks_names(protocol: Protocol) -> bool:
    """Say what `Protocol.asks_names` does; where the leaves trained on are not known yet, what it does of all."""
    language, n = protocol.task.questions.language, protocol.vocabulary.n_names
    try:
        return protocol.asks_names
    except DataError:  # the pairing follows from features, or too few can be trained on, which others tell
        return language.test == language.train or bool(protocol.asked_texts.known[:n].any())


def left_out(protocol: Protocol) -> Iterator[str]:
    """Say all that is left out, what the leak guard found among it."""
    yield from unlabelled_terms(protocol)
    if protocol.leaks:
        did = "left out of training" if protocol.task.leaks == "drop" else "KEPT in training, as the task says"
        yield f"leaves that say a denied hypernym, {did}: {', '.join(map(str, protocol.leaks))}"
    if protocol.asked_property and protocol.asked_property.unasked:
        names = first_few(protocol.asked_property.unasked, _SHOWN)
        yield f"leaves whose name says a word of a question are not asked it: {names}"
    if protocol.leaves_without_images:
        names = first_few(protocol.leaves_without_images, _SHOWN)
        yield f"leaves without a training picture, neither trained nor asked: {names}"
