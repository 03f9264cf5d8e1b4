"""Import a head that was found by reading (`registry/heads.py`), and fill in its settings."""

from importlib import import_module
from typing import Any

from pydantic import ValidationError

from taxbench.registry.heads import head_info
from taxbench.registry.package_source import MISTAKES, module_source
from taxbench.specs.run import HeadSpec
from taxbench.specs.spec import content_hash
from taxbench.util.errors import UsageError, did_you_mean, first_line


def head_module(name: str) -> Any:
    """Import a head's module.

    Raises:
        UsageError: there is no such head, or it cannot be imported.
    """
    module = head_info(name).module
    try:
        return import_module(module)
    except (*MISTAKES, SystemExit) as error:
        raise UsageError(f"The head '{name}' cannot be used: importing {module}: {first_line(error)}") from error


def head_spec(name: str, settings: dict[str, Any]) -> HeadSpec:
    """Return a head with all its settings, defaults filled in.

    Raises:
        UsageError: the head or a setting is unknown, or a value does not fit.
    """
    info = head_info(name)
    known = {setting: default for setting, default, _ in info.settings}
    own = info.module.startswith("taxbench.heads.")  # which the version of the code tells apart
    if own and not settings:
        return HeadSpec(name=name, settings=known)  # nothing is to be checked, so nothing is imported
    for key in settings:
        if key not in known:
            has = f"Its settings: {', '.join(known)}." if known else "It has none."
            raise UsageError(f"The head '{name}' has no setting '{key}'.{did_you_mean(key, known)} {has}")
    try:
        given = head_module(name).Settings.model_validate(settings).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = f"Setting '{first['loc'][0]}'" if first["loc"] else "Settings"
        raise UsageError(f"{where} of the head '{name}': {first['msg']}; found {first['input']!r}.") from None
    return HeadSpec(name=name, settings=given, source="" if own else content_hash(module_source(info.module), 16))
