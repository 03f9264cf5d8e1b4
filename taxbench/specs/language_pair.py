"""Which languages a task's questions are in: those of training, and those of the test."""

from typing import Annotated

from pydantic import Field

from taxbench.specs.spec import Spec

ENGLISH = "en"
"""The language that datasets' names and tasks' templates are in."""
CODE = "^[a-z]{2,3}(_[a-z0-9]{2,8})?$"
"""A code such as de or pt_br."""
LanguageCode = Annotated[str, Field(pattern=CODE)]


class LanguagePair(Spec):
    """The language that a head is taught in and the one it is asked in."""

    train: LanguageCode = ENGLISH
    """What training asks in. Leaves and hypernyms without a reviewed label in it are not trained."""
    test: LanguageCode = ENGLISH
    """What the test asks in. Terms without a reviewed label in it are not asked."""

    @property
    def is_english(self) -> bool:
        """Say whether both are English, and all is as in a task that says nothing of languages."""
        return self.train == self.test == ENGLISH

    @property
    def foreign(self) -> tuple[str, ...]:
        """Return the languages other than English, each once."""
        return tuple(code for code in dict.fromkeys((self.train, self.test)) if code != ENGLISH)

    def __str__(self) -> str:
        """Return the pair as it is typed: the language of the test, with that of training before it if not English."""
        return self.test if self.train == ENGLISH else f"{self.train}:{self.test}"
