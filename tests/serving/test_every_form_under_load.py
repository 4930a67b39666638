"""Every form of request, over HTTP and gRPC at once, while two versions take turns: each answer is the model's own."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Chain
from tests.serving import calls, forms
from tests.serving.conftest import NAME, PATIENCE_S, Server, Store
from tests.serving.questions import Question, Wrong, questions, write_changed

Start = Callable[..., Server]
CONNECTIONS, CHANNELS = 12, 4
QUESTIONS = 96
SWAP_S = 0.3
_MOST_PIPELINED = 100


class Load:
    """Clients in a thread of their own until `done`; the first wrong or lost answer ends them."""

    def __init__(self, server: Server, asked: list[Question]) -> None:
        self._server = server
        self._questions = asked
        self.done = threading.Event()
        self.answers: Counter[str] = Counter()  # by version
        self.rows: Counter[str] = Counter()
        self.seen: Counter[tuple[str, str]] = Counter()  # mark and version

    def run(self) -> None:
        """Raises Wrong, or what a client sees when an answer does not come."""
        asyncio.run(self._run())

    def lacks(self) -> set[tuple[str, str]]:
        """The marks that no right answer has had yet, by version."""
        wanted = itertools.product(forms.MARKS | calls.MARKS | {"pipelined"}, self._questions[0].answers)
        return set(wanted) - set(self.seen)

    async def _run(self) -> None:
        callers = (self._call(1000 + seed) for seed in range(CHANNELS))
        await asyncio.gather(*callers, *(self._ask(seed) for seed in range(CONNECTIONS)))

    def _note(self, checked: tuple[str, frozenset[str]], rows: int, *more: str) -> None:
        version, marks = checked
        self.answers[version] += 1
        self.rows[version] += rows
        self.seen.update((mark, version) for mark in (*marks, *more))

    async def _ask(self, seed: int) -> None:
        """One connection after the other, each for some rounds of requests, sent before the first is answered."""
        chance = random.Random(seed)
        while not self.done.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            for turn in range(20):
                count = chance.choice((1, 1, 5, 20, _MOST_PIPELINED))
                sent = [forms.write(chance, chance.choice(self._questions), f"{seed}-{turn}-{n}") for n in range(count)]
                sending = asyncio.create_task(_send(chance, writer, b"".join(form.content for form in sent)))
                for form in sent:
                    checked = form.check(*await asyncio.wait_for(_receive(reader), PATIENCE_S))
                    self._note(checked, form.asked.question.rows, *(["pipelined"] if count > 1 else []))
                await sending
                if self.done.is_set():
                    break
            writer.close()
            await writer.wait_closed()

    async def _call(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self.done.is_set():
            channel, methods = calls.connect(self._server.grpc_address)
            for turn in range(20):
                streamed = chance.random() < 0.3
                keys = (f"{seed}-{turn}-{n}" for n in range(chance.choice((1, 1, 5, 20))))
                sent = [calls.write(chance, chance.choice(self._questions), key, streamed) for key in keys]
                messages = [call.message for call in sent]
                replies = await asyncio.wait_for(_streamed(methods, messages), PATIENCE_S) if streamed else (
                    await asyncio.gather(*(methods.ModelInfer(each, timeout=PATIENCE_S) for each in messages))
                )  # fmt: skip
                for call, reply in zip(sent, replies, strict=True):
                    self._note(call.check(reply), call.asked.question.rows)
                if self.done.is_set():
                    break
            await channel.close()


async def _send(chance: random.Random, writer: asyncio.StreamWriter, content: bytes) -> None:
    start = 0
    while start < len(content):
        size = chance.choice((100_000, 100_000, 777, 5_000))
        writer.write(content[start : start + size])
        start += size
        await writer.drain()
        if chance.random() < 0.2:
            await asyncio.sleep(0)


async def _receive(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(int(forms.headers_of(head)["content-length"]))


async def _streamed(methods: Any, messages: Iterable[Any]) -> list[Any]:
    replies = []
    async for reply in methods.ModelStreamInfer(iter(messages)):
        if reply.error_message:
            raise Wrong(reply.error_message)
        replies.append(reply.infer_response)
    return replies


@contextmanager
def _load(server: Server, asked: list[Question]) -> Iterator[Load]:
    load = Load(server, asked)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run)
        running.add_done_callback(lambda _: load.done.set())
        try:
            yield load
        finally:
            load.done.set()
        running.result()


def _ask_while_versions_swap(server: Server, store: Store, asked: list[Question], seconds: float) -> None:
    """Both versions are served all the time, and take turns as the primary; each is asked in every form."""
    server.wait_for_version("1")
    started = time.monotonic()
    with _load(server, asked) as load:
        for primary, shadow in itertools.cycle((("2", "1"), ("1", "2"))):
            store.point(primary, shadow)
            if load.done.wait(SWAP_S):
                break
            took = time.monotonic() - started
            if took > seconds and (not load.lacks() or took > seconds + PATIENCE_S):
                break
    assert load.lacks() == set()
    server.wait_until(lambda: server.metric("brakeline_rows_total") == load.rows.total())
    assert _counted(server) == (load.answers, load.rows)
    assert server.stop() == 0
    assert '"event": "bug"' not in server.log.read_text()


def _counted(server: Server) -> tuple[dict[str, int], dict[str, int]]:
    """Requests and rows by version, as the server counted them: each once, and none beside."""
    told = server.ask("GET", f"/v2/models/{NAME}/stats").json["model_stats"]
    answers = {each["version"]: each["inference_stats"]["success"]["count"] for each in told}
    return answers, {each["version"]: each["inference_count"] for each in told}


def _start(start: Start, store: Store, workers: int) -> Server:
    store.point("1", "2")
    return start("--model-store", str(store.root), "--workers", str(workers), "--grpc-port", "0")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_form_is_answered_bit_for_bit_while_versions_swap(start: Start, store: Store, workers: int) -> None:
    """JSON, binary, compressed, chunked, pipelined, gRPC: none is lost, none gets another's or a mixed answer."""
    models = {version: store.add(version, scale) for version, scale in (("1", 2.0), ("2", 5.0))}
    server = _start(start, store, workers)
    _ask_while_versions_swap(server, store, questions(models, QUESTIONS, seed=workers), seconds=2.5)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_trained_graph_answers_every_form_bit_for_bit(
    start: Start, store: Store, tiny: Chain, workers: int
) -> None:
    """The same for half a minute on the graph that training writes, beside one that answers differently."""
    trained, changed = (_place(store, version) for version in ("1", "2"))
    trained.parent.mkdir(parents=True)
    shutil.copy(tiny.model / "model.onnx", trained)
    models = {"1": trained, "2": write_changed(trained, changed)}
    server = _start(start, store, workers)
    _ask_while_versions_swap(server, store, questions(models, QUESTIONS, seed=workers), seconds=30)


def _place(store: Store, version: str) -> Path:
    return store.root / NAME / version / "model.onnx"
