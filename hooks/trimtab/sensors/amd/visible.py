"""Which AMD GPUs a process may use, of all in the machine.

ROCR_VISIBLE_DEVICES comes first, by index or UUID; HIP_VISIBLE_DEVICES, else CUDA_VISIBLE_DEVICES, then
counts among what is left. Indices are HIP's, which on some machines are not those of amd-smi. Source: AMD's
pages on GPU isolation and on HIP's environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def visible(uuids: Sequence[str], environ: Mapping[str, str]) -> list[int]:
    """Return the indices of those that can be used; `uuids` are all GPUs' in HIP's order, "" where not known.

    >>> visible(["GPU-a", "GPU-b", "GPU-c"], {"ROCR_VISIBLE_DEVICES": "GPU-c,0", "HIP_VISIBLE_DEVICES": "0"})
    [2]
    """
    by_rocr = _named(uuids, range(len(uuids)), environ.get("ROCR_VISIBLE_DEVICES"))
    listed = environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES"))
    return _named(uuids, by_rocr, listed)


def _named(uuids: Sequence[str], left: Sequence[int], listed: str | None) -> list[int]:
    """Return what a list names of those that are left; it ends at the first that it names wrongly."""
    if listed is None:
        return list(left)
    named: list[int] = []
    for word in (word.strip() for word in listed.split(",")):
        index = _index(word, uuids, left)
        if index is None:
            break
        if index not in named:
            named.append(index)
    return named


def _index(word: str, uuids: Sequence[str], left: Sequence[int]) -> int | None:
    if word.isdigit():
        return left[int(word)] if int(word) < len(left) else None
    return next((index for index in left if uuids[index] and uuids[index].lower() == word.lower()), None)
