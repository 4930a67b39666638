"""The server's parts put together in the test's own process, without sockets."""

import asyncio
from dataclasses import dataclass

from brakeline_serving.batch import Batcher
from brakeline_serving.bulk import Bulk
from brakeline_serving.cells import Board
from brakeline_serving.connections import Limits
from brakeline_serving.counters import Counters
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.guard import Guard
from brakeline_serving.messages import Request, Response
from brakeline_serving.observe import Observer
from brakeline_serving.repository import Repository
from brakeline_serving.routes import Routes
from brakeline_serving.scrape import Scrape


@dataclass(frozen=True)
class Parts:
    """What answers requests."""

    plane: DataPlane
    routes: Routes
    observer: Observer


def make_parts(name: str, bulk_rows: int = 100_000) -> Parts:
    """A data plane that serves nothing yet, and its routes."""
    counters = Counters(Board())
    observer = Observer(counters)
    plane = DataPlane(name, counters, Batcher(counters, observer, Bulk(counters, bulk_rows)))
    scrape = Scrape(name, counters.board, lambda: plane.served, observer.settle)
    return Parts(plane, Routes(plane, scrape, Repository(plane, None), Guard(), Limits()), observer)


def answered(parts: Parts, *requests: Request) -> list[Response]:
    """The answers to requests that arrive in one turn of the loop."""

    async def ask() -> list[Response]:
        later = [asyncio.get_running_loop().create_future() for _ in requests]
        for request, waits in zip(requests, later, strict=True):
            response = parts.routes.answer(request, waits.set_result)
            if response is not None:
                waits.set_result(response)
        return list(await asyncio.wait_for(asyncio.gather(*later), 10))

    return asyncio.run(ask())
