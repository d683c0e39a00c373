"""The baselines of ``tests.bench.api_bench``: FastAPI endpoints that parse the same bodies.

One commits two rows, one by one; the other does nothing.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel

INSERT = "INSERT INTO bare_api (body) VALUES ($1)"


class Wish(BaseModel):
    """The body of an approval request, unchecked."""

    worker_id: str
    task_name: str
    instruction: str


class Instruction(BaseModel):
    """The body of a check."""

    instruction: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold a pool as large as the API's."""
    async with asyncpg.create_pool(os.environ["BARE_URL"], password=os.environ["BARE_PASSWORD"], max_size=16) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/bare")
async def bare(wish: Wish, request: Request) -> dict[str, str]:
    """Two durable commits."""
    for _ in range(2):
        await request.app.state.pool.execute(INSERT, wish.instruction)
    return {"status": "PENDING"}


@app.post("/line")
async def line(asked: Instruction) -> dict[str, int]:
    """One line."""
    return {"length": len(asked.instruction)}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["BARE_PORT"]), http="h11", log_config=None, access_log=False)
