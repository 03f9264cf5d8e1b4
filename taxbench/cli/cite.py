"""`taxbench cite`: how to cite the paper and taxbench."""

import json
import re
from typing import Any

import click
import yaml

from taxbench.util.paths import PACKAGE

_SHIPPED = PACKAGE / "_CITATION.cff"
CITATION = _SHIPPED if _SHIPPED.is_file() else PACKAGE.parent / "CITATION.cff"
"""Inside the wheel, or at the top of a checkout."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@click.command("cite")
@click.option("--json", "as_json", is_flag=True, help="Print what CITATION.cff says as JSON.")
def command(as_json: bool) -> None:
    """Print BibTeX of the paper, whose question and protocol taxbench implements, and of taxbench itself."""
    given = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    if as_json:
        click.echo(json.dumps(given, indent=1, default=str, ensure_ascii=False))
    else:
        click.echo("\n".join([*map(_paper, given["references"]), _software(given)]))


def _paper(given: dict[str, Any]) -> str:
    """Return the BibTeX of a conference paper of CITATION.cff."""
    (arxiv,) = [each["value"].removeprefix("arXiv:") for each in given["identifiers"] if "arXiv" in each["value"]]
    names = given["authors"]
    word = re.search(r"\w{4,}", given["title"])
    key = f"{names[0]['family-names']}{given['year']}{word.group().lower() if word else ''}".lower()
    return _entry("inproceedings", key, {
        "title": f"{{{given['title']}}}",
        "author": " and ".join(f"{each['family-names']}, {each['given-names']}" for each in names),
        "booktitle": given["collection-title"], "year": given["year"], "month": _MONTHS[given["month"] - 1],
        "address": ", ".join(given["conference"][part] for part in ("city", "region")),
        "publisher": given["publisher"]["name"], "pages": f"{given['start']}--{given['end']}", "url": given["url"],
        "eprint": arxiv, "archiveprefix": "arXiv",
    })  # fmt: skip


def _software(given: dict[str, Any]) -> str:
    """Return the BibTeX of taxbench itself."""
    return _entry("software", f"taxbench{given['version']}", {
        "title": f"{{{given['title']}}}", "author": " and ".join(f"{{{each['name']}}}" for each in given["authors"]),
        "version": given["version"], "license": given["license"],
    })  # fmt: skip


def _entry(kind: str, key: str, fields: dict[str, Any]) -> str:
    """Return one entry of a BibTeX file."""
    width = max(map(len, fields))
    lines = (f"  {name:{width}} = {value if name == 'month' else f'{{{value}}}'}," for name, value in fields.items())
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
