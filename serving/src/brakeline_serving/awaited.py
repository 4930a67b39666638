"""A model's file that is not there yet: a server that may wait for it is alive meanwhile, and not ready."""

import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path

from brakeline_serving import diary
from brakeline_serving.errors import ModelRefused
from brakeline_serving.guard import stamp_of
from brakeline_serving.model import Model
from brakeline_serving.pointer import MODEL_FILE
from brakeline_serving.store import Served

_LOOK_S = 0.5


def nothing_yet(file: Path) -> Served:
    """What is served while nothing is there."""
    return Served(awaited=f"{file}: no such file yet")


async def follow(file: Path, load: Callable[[], Model], adopt: Callable[[Served], object]) -> None:
    """Wait for the file, and have it served. One that is refused is waited for again, until it is another."""
    diary.note("model_awaited", file=file)
    tried: object = None
    while True:
        stamp = stamp_of(file)
        if stamp is not None and stamp != tried:
            tried = stamp
            try:
                model = await asyncio.to_thread(load)
            except ModelRefused as error:
                adopt(Served(refused={MODEL_FILE: str(error)}))
            except Exception:  # noqa: BLE001  a bug here must not end the waiting for another file
                diary.error("bug", file=file, traceback=traceback.format_exc())
            else:
                adopt(Served(primary=model))
                return
        await asyncio.sleep(_LOOK_S)
