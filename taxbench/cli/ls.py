"""`taxbench ls`: what can be named."""

from pathlib import Path
from typing import Any

import click

from taxbench.cli.completion import complete_tag, tags_of
from taxbench.cli.options import include_path, json_option
from taxbench.util.errors import UsageError, did_you_mean
from taxbench.util.text import padded, plain_json, width

KINDS = ("tasks", "models", "encoders", "systems", "heads", "settings", "datasets", "languages")
_COLUMNS = {"heads": ("takes", "learns", "reads"), "systems": ("reads",), "languages": ("hypernyms",)}
"""What people are shown between name and summary."""


@click.command("ls")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option("--tag", help="Only tasks and groups with this tag.", shell_complete=complete_tag)
@include_path
@json_option
def command(kind: str | None, tag: str | None, include: tuple[Path, ...], as_json: bool) -> None:
    """List tasks, models, encoders, systems, heads, settings, datasets and languages, or one kind of them."""
    if tag is not None and kind not in (None, "tasks"):
        raise UsageError(f"--tag is about tasks; '{kind}' have none.")
    kinds = [kind] if kind else ["tasks"] if tag else list(KINDS)
    listing = {name: _tasks(tag, include) if name == "tasks" else _entries(name) for name in kinds}
    if as_json:
        click.echo(plain_json(listing[kind] if kind else listing))
        return
    for name, entries in listing.items():
        columns = ("name", *_COLUMNS.get(name, ()))
        click.secho(f"{name} ({', '.join(columns[1:])})" if columns[1:] else name, bold=True)
        shown = [entry for entry in entries if "curve" not in entry]
        widths = {column: max((width(entry.get(column, "")) for entry in shown), default=0) for column in columns}
        for entry in shown:
            broken = "error" in entry
            before = [padded(entry[column], widths[column]) for column in (columns[:1] if broken else columns)]
            click.secho("  ".join(["", *before, entry["error" if broken else "summary"]]), fg="red" if broken else None)
        if name != next(reversed(listing)):
            click.echo()


def _tasks(tag: str | None, include: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return tasks, then curves and groups, then what is broken; a curve's tasks name it."""
    from taxbench.tasks.registry import find_tasks

    found = find_tasks(include)
    if tag is not None and tag not in (known := tags_of(found)):
        raise UsageError(f"No task has the tag '{tag}'.{did_you_mean(tag, known)} Tags: {', '.join(known)}.")
    curve_of = {task.name: file.group.group for file in found.files.values() if file.group for task in file.tasks}
    rows: list[dict[str, Any]] = []
    for task in found.tasks.values():
        row = {"name": task.name, "summary": task.summary, "identity": task.identity, "tags": list(task.tags)}
        rows.append(row | ({"curve": curve_of[task.name]} if task.name in curve_of else {}))
    for name, group in found.groups.items():
        kind = "curve" if found.files[name].tasks else "group"
        members = f"{kind}: {_briefly(name, group.members) if kind == 'curve' else ', '.join(group.members)}"
        rows.append({"name": name, "summary": f"{group.summary} ({members})", "tags": list(group.tags), "kind": kind,
                     "members": list(group.members)})  # fmt: skip
    rows = [row for row in rows if tag is None or tag in row["tags"]]
    return [*rows, *({"name": path.name, "error": error} for path, error in found.broken.items())]


def _briefly(curve: str, members: tuple[str, ...]) -> str:
    """Name the levels of a curve without saying its name again and again."""
    return f"{members[0]}, {', '.join(member.removeprefix(curve) for member in members[1:])}".removesuffix(", ")


def _entries(kind: str) -> list[dict[str, Any]]:
    """Return the entries of one kind; each has a name and a summary."""
    if kind == "heads":
        from taxbench.registry.heads import broken_heads, head_info, heads

        infos = [head_info(name) for name in heads()]
        rows = [{"name": each.name, "takes": each.pool if each.sees == "features" else each.sees, "learns": each.learns,
                 "reads": each.reads, "summary": each.summary} for each in infos]  # fmt: skip
        return [*rows, *({"name": name, "error": error} for name, error in broken_heads().items())]
    if kind == "datasets":
        from taxbench.datasets.known import known_datasets

        return [{"name": name, "summary": entry.summary} for name, entry in known_datasets().items()]
    if kind == "settings":
        from taxbench.registry.settings import settings

        return [
            {"name": each.name, "default": each.default, "owner": each.owner,
             "summary": f"{each.owner}, {each.default}: {each.summary}"} for each in settings()
        ]  # fmt: skip
    if kind == "languages":
        return _languages()
    from taxbench.registry.models import encoders, lms, systems
    from taxbench.specs.sources import PACKAGED

    kinds: dict[str, Any] = {"encoders": encoders, "systems": systems, "models": lms}
    specs = kinds[kind]().values()
    return [{"name": spec.name, "summary": f"{spec.summary}{' Gated.' if spec.gated else ''}",
             "source": spec.name if spec.source.startswith(PACKAGED) else spec.source,
             **({"reads": spec.reads} if kind == "systems" else {})} for spec in specs]  # fmt: skip


def _languages() -> list[dict[str, Any]]:
    """Return English, then the languages that can be used, then what is broken."""
    from taxbench.specs.language_pair import ENGLISH
    from taxbench.tasks.diagnostics import errors
    from taxbench.tasks.language_files import hypernyms_asked, language_paths, read_language

    rows: list[dict[str, Any]] = [
        {"name": ENGLISH, "hypernyms": "all", "summary": "English, as datasets and tasks have it."}
    ]
    for path in language_paths():
        found, problems = read_language(path)
        if found is None:
            rows.append({"name": path.name, "error": str(errors(problems)[0])})
            continue
        known = [f"{dataset} {sum(map(found.knows, terms))}/{len(terms)}"
                 for dataset, terms in hypernyms_asked().items()]  # fmt: skip
        template = found.templates.presence
        rows.append({"name": found.language, "hypernyms": ", ".join(known), "summary": f"{found.name}: {template}",
                     "template": template, "source": found.source})  # fmt: skip
    return rows
