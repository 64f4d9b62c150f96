"""Writes the reference pages of settings and commands from the code itself: `python docs/reference.py`.

A test holds the committed pages to what this writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer.main

from trimtab.signals import Signals, variable
from trimtab_monitor.cli.root import app
from trimtab_monitor.settings import ENV_DELIMITER, ENV_PREFIX, Settings

Schema = dict[str, Any]

DOCS = Path(__file__).parent

SETTINGS_INTRO = """# Settings

Written from the code by `python docs/reference.py`; do not edit by hand.

## In the job

Arguments of `trimtab.watch()` come first, then the environment.

| variable | default | means |
|---|---|---|
| `TRIMTAB_URL` | none | the collector's address; none: an embedded collector is started or joined |
| `TRIMTAB_DIR` | `./.trimtab`, with a URL `~/.local/state/trimtab` | where ring, spool and the embedded collector's database live |
| `TRIMTAB_RUN` | made from project and time | the run's id; set by whatever restarts a job, so that it goes on under the same id |
| `TRIMTAB_ATTEMPT` | counted | the attempt, if whatever restarts the job counts it |
| `TRIMTAB_PROJECT` | the folder's name | groups runs |
| `TRIMTAB_NAME` | none | the run's name, for people |
| `TRIMTAB_AUTO` | no | `1`: every Lightning `Trainer` is watched, with no line of code |
| `TRIMTAB_RING_BYTES` | 4194304 | size of the memory-mapped ring at first, in bytes; it grows to 64 MiB where it runs short |
| `TRIMTAB_SPOOL_BYTES` | 268435456 | what may wait on disk for a collector that is away, in bytes; dead processes may leave 8 times as much in all |
| `TRIMTAB_SPOOL_DAYS` | 30 | how long it may wait there |
| `TRIMTAB_SNAPSHOT_EVERY` | 25 | steps between two snapshots in host memory, with `rollback="auto"` |
| `TRIMTAB_SNAPSHOT_KEEP` | 4 | how many snapshots are kept |
| `TRIMTAB_POWERCAP` | `/sys/class/powercap` | where the CPUs' energy counters are; a container, which hides the host's, may have them mounted in another place |
| `TRIMTAB_DISABLED` | no | `1`: `watch()` does nothing |

What is measured beyond the default ([what each costs](capture.md)) is asked for by
`trimtab.watch(signals=trimtab.Signals(...))`, or else by the environment:

{signals}
## In the collector

A flag comes first, then the environment, then `trimtab.toml` in the working directory (or `--config FILE`), then the
default. In the environment `server.port` is `TRIMTAB_SERVER__PORT`. An unknown key is an error that names it. Secrets
are never printed; each has a twin that names a file to read it from.
"""

COMMANDS_INTRO = """# Commands

Written from the code by `python docs/reference.py`; do not edit by hand.

Exit codes: 0 done, 1 it failed, 2 the arguments or the input are wrong. A message on standard error says what, where
(file and line) and what to do.
"""


def settings_page() -> str:
    """Every setting with its default and meaning, and all of them as one `trimtab.toml`."""
    groups = list(_groups("", Settings.model_json_schema(), Settings.model_json_schema()["$defs"]))
    tables = "\n".join(_table(path, schema) for path, schema in groups)
    toml = "\n".join(_toml(path, schema) for path, schema in groups)
    intro = SETTINGS_INTRO.replace("{signals}", _signals())
    return f"{intro}\n{tables}\n## trimtab.toml in full\n\n```toml\n{toml}```\n"


def _signals() -> str:
    """What can be measured beyond the default."""
    rows = [
        f"| `{each.name}` | `{variable(each.name)}` | {_told(each.default)} | {each.metadata['means']} |\n"
        for each in fields(Signals)
    ]
    return "| field | variable | default | means |\n|---|---|---|---|\n" + "".join(rows)


def _told(default: object) -> str:
    return ("yes" if default else "no") if isinstance(default, bool) else str(default)


def _groups(path: str, schema: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    """The groups below one, each before those below it; `name[]` stands for any number of them."""
    for name, field in schema["properties"].items():
        below = f"{path}.{name}" if path else name
        inner = _group_of(field, known)
        if inner is not None:
            below += "[]" if field.get("type") == "array" else ""
            optional = "default" in field and field["default"] is None
            yield below, {**inner, "properties": dict(_plain(inner, known)), "optional": optional}
            yield from _groups(below, inner, known)


def _group_of(field: Schema, known: Schema) -> Schema | None:
    """The group that a field holds, alone, optionally, or any number of times."""
    for kind in (field, field.get("items", {}), *field.get("anyOf", ()), *field.get("allOf", ())):
        if "$ref" in kind:
            found: Schema = known[kind["$ref"].rsplit("/", 1)[1]]
            return found if "properties" in found else None
    return None


def _plain(schema: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        if _group_of(field, known) is None:
            yield name, {**field, "required": name in required}


def _table(path: str, schema: Schema) -> str:
    if not schema["properties"]:
        return ""
    lines = [f"### `[{path}]`", "", _sentence(schema.get("description")), ""]
    lines += ["| key | default | means |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        lines.append(f"| `{name}` | {_default(field)} | {_cell(field.get('description'))} |")
    return "\n".join(lines) + "\n"


def _sentence(doc: str | None) -> str:
    return (doc or "").strip().split("\n\n")[0].replace("\n", " ")


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def _default(field: Schema) -> str:
    if field["required"]:
        return "required"
    return "none" if field.get("default") is None else f"`{json.dumps(field['default'])}`"


def _toml(path: str, schema: Schema) -> str:
    if not schema["properties"]:
        return ""
    repeated = path.endswith("[]")
    optional = repeated or schema["optional"]
    header = f"[[{path[:-2]}]]" if repeated else f"[{path}]"
    lines = [f"# {header}" if optional else header]
    for name, field in schema["properties"].items():
        unset = field["required"] or field.get("default") is None
        line = f"{name} =" if unset else f"{name} = {json.dumps(field['default'])}"
        lines.append(f"# {line}" if unset or optional else line)
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    return COMMANDS_INTRO + "".join(_command(f"trimtab {name}", each) for name, each in root.commands.items())


def _command(name: str, command: Any) -> str:
    below = getattr(command, "commands", {})
    text = f"\n## `{name}`\n\n{_sentence(command.help)}\n"
    shown = [each for each in command.params if not getattr(each, "hidden", False) and each.name != "help"]
    if shown:
        text += "\n| argument or option | default | means |\n|---|---|---|\n"
        text += "".join(_parameter(each) for each in shown)
    return text + "".join(_command(f"{name} {inner}", each) for inner, each in below.items())


def _parameter(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{(parameter.metavar or parameter.name).upper()}`"
    default = parameter.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"| {names} | {f'`{default}`' if plain else ''} | {_cell(getattr(parameter, 'help', ''))} |\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page}

if __name__ == "__main__":
    assert (ENV_PREFIX, ENV_DELIMITER) == ("TRIMTAB_", "__"), "the introduction says so"
    for file, page in PAGES.items():
        (DOCS / file).write_text(page())
