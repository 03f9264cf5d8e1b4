"""What the registries say about encoders, language models, and whole systems of both."""

from typing import Literal, get_args

from taxbench.specs.feature_key import Pooled
from taxbench.specs.property_asked import WorldScope
from taxbench.specs.spec import Spec

GGUF = ".gguf"
"""How the source of a language model ends that is one file of llama.cpp's."""
PACKAGED = "package:"
"""How the source of weights inside an installed package begins; `PACKAGE/FOLDER` follows."""


class EncoderSpec(Spec):
    """Where an image encoder lives. How its features are read follows from its architecture."""

    name: str
    source: str
    """A Hugging Face id, with `@REVISION` or without, a local directory in Hugging Face format,
    `package:PACKAGE/FOLDER` for one in an installed package, `pixels`, or `entry-point:VALUE`."""
    summary: str = ""
    pooled: Pooled | None = None
    """How the pooled vector is made; None: as the architecture's authors do (`features/families.py`)."""
    evidence: WorldScope = "perception"
    """What it was trained with, as for a task's `world_scope`; it describes, and is no part of any identity."""
    random: bool = False
    """Whether the weights are drawn at random instead of loaded: the control named `random-NAME`."""
    gated: bool = False
    """Whether its licence must be accepted on the hub first."""


class LMSpec(Spec):
    """Where a causal language model lives."""

    name: str
    source: str
    """A Hugging Face id, with `@REVISION` or without, a local directory in Hugging Face format,
    `package:PACKAGE/FOLDER`, or a GGUF file."""
    summary: str = ""
    gated: bool = False
    """Whether its licence must be accepted on the hub first."""
    evidence: WorldScope = "internet"
    """What it was trained with; as for encoders."""
    parts: tuple[str, ...] = ()
    """Files `PACKAGE/FILE` of installed packages that make up a GGUF file, in their order; `source` names it."""
    sha256: str = ""
    """Digest of the file that they make up."""
    install: str = ""
    """What to type to get these packages."""
    terms: str = ""
    """Under which terms the weights come, shown once."""


Reader = Literal["match", "chils", "odds", "answer", "pair", "masked"]
"""How a system is asked; each is a file of `taxbench/heads/`."""
READERS: tuple[str, ...] = get_args(Reader)


class SystemSpec(Spec):
    """Where a released system of image encoder, mapping and language model lives, and how it is asked."""

    name: str
    source: str
    """A Hugging Face id, with `@REVISION` or without, a local directory in Hugging Face format, or
    `package:PACKAGE/FOLDER`."""
    reads: Reader = "match"
    summary: str = ""
    frame: str = ""
    """How it is asked, with `{image}` and `{question}`; empty: as its own chat template says, or its releases are
    (`systems/architectures.py`)."""
    evidence: WorldScope = "perception"
    """What it was trained with, beside text; as for encoders."""
    random: bool = False
    """Whether all weights are drawn at random instead of loaded: the control named `random-NAME`."""
    gated: bool = False
    """Whether its licence must be accepted on the hub first."""

    @property
    def parts(self) -> "tuple[EncoderSpec, LMSpec, SystemSpec]":
        """Return what is said of its image side and of its text side, and the whole."""
        encoder = EncoderSpec(name=self.name, source=self.source, random=self.random, gated=self.gated)
        return encoder, LMSpec(name=self.name, source=self.source, gated=self.gated), self
