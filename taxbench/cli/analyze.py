"""`taxbench analyze`: what generalisation goes with, and more that records say when they are taken together."""

from pathlib import Path
from typing import Any

import click

from taxbench.cli.options import dataset_options, json_option, properties_option
from taxbench.util.errors import UsageError
from taxbench.util.progress import Reporter


@click.command("analyze")
@click.argument("places", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDERS or CSV]...")
@click.option("--published", is_flag=True, help="The published table of the paper.")
@click.option("--pairing", metavar="NAME",
              help="original, within_category, across_category or all  [default: original, then all]")  # fmt: skip
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Only this system; repeatable.")
@click.option("--physical", "kind", flag_value="physical",
              help="What property tasks say, in the place of the regressions.")  # fmt: skip
@click.option("--consistency", "kind", flag_value="consistency",
              help="How many pictures are answered right for leaf and hypernyms alike.")  # fmt: skip
@click.option("--alignment", "kind", flag_value="alignment",
              help="How alike encoder and LM lay out the leaves, and whether that predicts transfer.")  # fmt: skip
@click.option("--languages", "kind", flag_value="languages",
              help="How much is there in other languages.")  # fmt: skip
@dataset_options
@properties_option
@json_option
@click.pass_obj
def command(
    report: Reporter, /, places: tuple[Path, ...], published: bool, kind: str | None, as_json: bool, **how: Any
) -> None:  # fmt: skip
    """Regress F1 of hypernyms on visual similarity and on what the LM knows from text alone.

    Errors are clustered by hypernym. Read are the results below FOLDERS (default: results) of tasks that deny all
    hypernyms, as unseen_hypernym, counterfactual_high and counterfactual_low do, or a table laid out as the published
    one.

    With --physical, of tasks about properties: AUROC and transfer by wording, correlations with numbers, and whether
    answers follow the name or the picture after a re-pairing. With --consistency, the share of test pictures of which
    leaf and hypernyms are all answered right. With --alignment, the neighbours that leaves have both in the encoder's
    features, read from the cache, and in the LM's vectors of their names. --physical and --alignment load datasets:
    'pocket' always, and the one that --dataset names. With --languages, of runs that differ in their languages: AUROC
    paired with that in English, and the share of its transfer that each keeps.
    """
    from taxbench.util.text import plain_json

    if published and (places or kind):
        raise UsageError("--published reads the published table and takes no folders and no other analysis.")
    if kind:
        found, text = _of_kind(kind, list(places) or [Path("results")], how, report)
    else:
        from taxbench.board.analysis.generalisation import analyse, published_table
        from taxbench.board.analysis.generalisation_text import analysis_text

        found = analyse(
            [published_table()] if published else list(places) or [Path("results")], how["pairing"], how["systems"]
        )
        text = analysis_text(found)
    click.echo(plain_json(found) if as_json else text, nl=as_json)


def _of_kind(kind: str, places: list[Path], how: dict[str, Any], report: Reporter) -> tuple[object, str]:
    """Return an analysis of records, and the same as text."""
    from taxbench.board.load import load_records
    from taxbench.datasets.dataset import Dataset, load_dataset

    records = load_records(places)
    if kind == "consistency":
        from taxbench.board.analysis.hierarchy import consistencies, consistency_text

        consistent = consistencies(records)
        return {"rows": consistent}, consistency_text(consistent)
    if kind == "languages":
        from taxbench.board.analysis.languages import compare_languages
        from taxbench.board.analysis.languages_text import languages_text

        compared = compare_languages(records)
        if not compared.findings:
            advice = "Make them: taxbench run --task unseen_hypernym --set language=de,fr,es,zh"
            raise UsageError(
                " ".join(["There are no records in English and another language.", *compared.notes, advice])
            )
        return compared, languages_text(compared)

    def load(name: str) -> Dataset:
        if name == "pocket" and how["dataset"] != name:
            return load_dataset(name)
        dataset = load_dataset(how["dataset"], how["taxonomy"], how["properties"])
        if dataset.name != name:
            raise UsageError(f"the dataset '{name}' is not at hand. Name it: --dataset {name.partition(':')[0]}:PATH")
        return dataset

    if kind == "alignment":
        from taxbench.board.analysis.leaf_alignment import alignment_text, alignments

        aligned = alignments(records, load, report)
        return aligned, alignment_text(aligned)
    from taxbench.board.analysis.physical import physical
    from taxbench.board.analysis.physical_text import physical_text

    said = physical(records, load)
    return said, physical_text(said)
