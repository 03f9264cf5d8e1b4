"""`taxbench ls`: what can be named."""

import json
from typing import Any

import click

KINDS = ("tasks", "models", "encoders", "heads", "datasets")


@click.command("ls")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """List tasks, models, encoders, heads and datasets, or one kind of them."""
    listing = {name: _entries(name) for name in ([kind] if kind else KINDS)}
    if as_json:
        click.echo(json.dumps(listing[kind] if kind else listing, indent=1))
        return
    for name, entries in listing.items():
        click.secho(name, bold=True)
        width = max(len(entry["name"]) for entry in entries)
        for entry in entries:
            broken = "error" in entry
            line = f"  {entry['name'].ljust(width)}  {entry['error'] if broken else entry['summary']}"
            click.secho(line, fg="red" if broken else None)
        if name != next(reversed(listing)):
            click.echo()


def _entries(kind: str) -> list[dict[str, Any]]:
    """Return the entries of one kind; each has a name and a summary, or an error."""
    if kind == "tasks":
        from taxbench.registry.tasks import find_tasks

        found = find_tasks()
        rows = [{"name": task.name, "summary": task.summary, "identity": task.identity, "tags": list(task.tags)}
                for task in found.tasks.values()]  # fmt: skip
        groups = [{"name": group.group, "summary": f"{group.summary} ({', '.join(group.members)})"}
                  for group in found.groups.values()]  # fmt: skip
        return [*rows, *groups, *({"name": path.name, "error": error} for path, error in found.broken.items())]
    if kind == "heads":
        from taxbench.registry.heads import heads

        return [{"name": name, "summary": summary} for name, summary in heads().items()]
    if kind == "datasets":
        from taxbench.registry.datasets import DATASETS

        return [{"name": name, "summary": entry.summary} for name, entry in DATASETS.items()]
    from taxbench.registry.models import encoders, lms

    specs = encoders().values() if kind == "encoders" else lms().values()
    return [{"name": spec.name, "summary": f"{spec.summary}{' Gated.' if spec.gated else ''}", "source": spec.source}
            for spec in specs]  # fmt: skip
