"""What is measured of a run beyond loss, gradient norm and learning rate: each off unless asked for.

What each costs is in docs/capture.md.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from trimtab.environ import integer


def _option(default: int, means: str, least: int = 0) -> Any:
    """A field with what the reference page says of it, and the least that a number may be."""
    return field(default=default, metadata={"means": means, "least": least})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is measured beyond the default; docs/settings.md says what each field is.

    In the environment a field is `TRIMTAB_` and its name in capitals.

    Raises:
        ValueError: a value is not what it must be; the message names it and says what to give.
    """

    layer_norms_every: int = _option(
        0, "steps of the optimizer between two gradient norms of each layer, `grad_norm/<layer>`; 0: never"
    )
    param_norm_every: int = _option(
        0, "steps between two norms of all trained parameters, `param_norm`; 0: never"
    )
    update_ratio_every: int = _option(
        0,
        "steps between two ratios of a step's change to the weights, `update_ratio`, whole and by layer; "
        "0: never",
    )
    activations_every: int = _option(
        0,
        "steps between two looks at what blocks put out: `activation_absmax/<block>`, `activation_rms/...`, "
        "`activation_kurtosis/...`, `max_attention_logit`; 0: never",
    )
    experts_every: int = _option(
        0,
        "steps between two counts of the routers' choices, `expert_share/<layer>.max` and `.min`; 0: never",
    )
    layers: int = _option(100, "series that the layers of a model are grouped into, at most", least=1)

    def __post_init__(self) -> None:
        for each in fields(self):
            given = getattr(self, each.name)
            object.__setattr__(self, each.name, _whole(each.name, given, each.metadata["least"]))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Signals:
        """Read each field's variable; one that is not set leaves the default.

        Raises:
            ValueError: a variable's value is not what its field must be.
        """
        asked: dict[str, Any] = {}
        for each in fields(cls):
            name = variable(each.name)
            if environ.get(name):
                asked[each.name] = integer(environ, name)
        return cls(**asked)


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"TRIMTAB_{name.upper()}"


def _whole(name: str, given: Any, least: int) -> int:
    try:
        number = -1 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = -1
    if number < least:
        raise ValueError(f"signals: {name}={given!r}: give a whole number, {least} or more")
    return number
