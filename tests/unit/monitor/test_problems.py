"""Problems: a fault of ours is told as one too, and nothing that was sent can break the telling."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI

from trimtab_monitor.api import handlers
from trimtab_monitor.api.problems import Problem


def ask(app: FastAPI, path: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(get())


def faulty_app() -> FastAPI:
    app = FastAPI()
    handlers.install(app)

    @app.get("/fault")
    def fault() -> None:
        raise ZeroDivisionError("secret detail")

    return app


def test_a_fault_of_ours_is_a_problem_and_tells_no_details() -> None:
    answer = ask(faulty_app(), "/fault")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Internal error"
    assert "secret" not in answer.text


def test_values_are_told_in_few_words_whatever_they_are() -> None:
    odd: list[object] = ["x" * 1000, "\ud800", {"a": float("nan")}, b"\xff", None, 3]
    for value in odd:
        problem = Problem(422, "k", "T", "d", field="f", value=value, remedy="r")
        assert len(bytes(problem.response().body)) < 500
