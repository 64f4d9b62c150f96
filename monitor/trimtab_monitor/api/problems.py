"""Everything that goes wrong over HTTP, told as RFC 9457 problem documents.

Each has `type`, `title`, `status`, `detail`; where one field is at fault also `field`, `value` and `remedy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from trimtab.wire import WireError
from trimtab_monitor.json_out import to_json
from trimtab_monitor.store.protocols import StoreUnavailable

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
_SHOWN_CHARS: Final = 200


class Problem(HTTPException):
    """A problem to answer with.

    `kind` tells problems apart for programs (it ends the type URI), `title` is its name for people and
    always the same, `detail` says what happened this time.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        super().__init__(status, detail, headers)
        self.document: dict[str, Any] = {
            "type": f"urn:trimtab:problem:{kind}",
            "title": title,
            "status": status,
            "detail": detail,
        }
        if field is not None:
            self.document |= {"field": field, "value": _shown(value)}
        if remedy is not None:
            self.document["remedy"] = remedy

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The answer."""
        told = {**(self.headers or {}), **(headers or {})}
        return Response(to_json(self.document), self.status_code, told, media_type=MEDIA_TYPE)


def _shown(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else _as_text(value)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def _as_text(value: object) -> str:
    """A value in the words of JSON."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return to_json(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return repr(value)


def unknown_run(run: str) -> Problem:
    """No such run."""
    return Problem(
        404,
        "unknown-run",
        "Unknown run",
        f"No run {_shown(run)!r} is known here.",
        field="run",
        value=run,
        remedy="Register it with POST /v1/runs, or look its id up in GET /v1/runs.",
    )


def unknown_project(project: str) -> Problem:
    """No run of such a project."""
    return Problem(
        404,
        "unknown-project",
        "Unknown project",
        f"No run of a project {_shown(project)!r} is known here.",
        field="project",
        value=project,
        remedy="Look the projects of runs up in GET /v1/runs.",
    )


def invalid(field: str, value: object, why: str, remedy: str) -> Problem:
    """A request that does not hold what it must."""
    title = "Invalid request"
    return Problem(422, "invalid-request", title, f"{field}: {why}", field=field, value=value, remedy=remedy)


def malformed(error: WireError) -> Problem:
    """A batch that breaks the wire contract."""
    unsupported = error.field == "Content-Type"
    return Problem(
        415 if unsupported else 400,
        "unsupported-media-type" if unsupported else "malformed-batch",
        "Unsupported media type" if unsupported else "Malformed batch",
        str(error),
        field=error.field,
        value=error.value,
        remedy=error.remedy,
    )


def too_large(limit: int, given: int | None) -> Problem:
    """A body over the limit; `given` is None if it was not declared and the limit was met while reading."""
    return Problem(
        413,
        "body-too-large",
        "Body too large",
        f"The body has more than {limit} bytes.",
        field="Content-Length",
        value=given,
        remedy="Send fewer rows at a time, or raise server.max_body_bytes.",
    )


def too_busy(detail: str, remedy: str) -> Problem:
    """More than the collector takes at once; the sender must wait."""
    return Problem(429, "too-busy", "Too busy", detail, remedy=remedy, retry_after_s=RETRY_AFTER_S)


def store_unavailable(error: StoreUnavailable) -> Problem:
    """Nothing can be made durable now, so nothing is taken."""
    return Problem(
        503,
        "store-unavailable",
        "Store unavailable",
        f"The collector cannot write or read its store: {error}.",
        remedy="Keep what was not acknowledged and send it again; make room on the collector's disk.",
        retry_after_s=RETRY_AFTER_S,
    )
