"""A decoder that notes what it decodes. Light, because decoding processes import it."""

import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from taxbench.datasets.dataset import ImageRecord
from taxbench.util.errors import DataError


@dataclass(frozen=True, slots=True)
class Logged:
    """Decode a picture and note its id, so that it can be told afterwards what was computed."""

    root: Path
    log: Path

    def __call__(self, image: ImageRecord) -> Image.Image:
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.write(fd, f"{image.id}\n".encode())
        os.close(fd)
        try:
            with Image.open(self.root / image.id) as picture:
                return picture.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"The image '{self.root / image.id}' cannot be decoded ({error}).") from None

    def read(self) -> list[str]:
        """Return the ids that were noted so far."""
        return self.log.read_text().split() if self.log.is_file() else []
