"""A model store in S3, which the server follows there: laid out as in a folder, with each graph's sha256 beside it."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stepkit import diary, ending, objects
from stepkit.errors import ArtifactAltered, ObjectAltered, ObjectMissing, StepError, TryAgain
from stepkit.verdict import MODEL_FILE, model_sha256

from brakeline_deploy.store import CHECKSUM_FILE, Store

LEASE_S, RENEW_S = 60.0, 15.0
_TURN = ".deploy.lock"


@dataclass(frozen=True)
class RemoteStore(Store):
    """The store of one model below `root`, s3://bucket/prefix."""

    root: str
    name: str

    def address(self, file: str) -> str:
        """See `Store`."""
        return f"{self.root.rstrip('/')}/{self.name}/{file}"

    def read(self, file: str) -> bytes | None:
        """See `Store`. Raises StepError as `objects.fetch`."""
        try:
            return objects.read_bytes(self.address(file))
        except ObjectMissing:
            return None

    def write(self, file: str, content: bytes) -> None:
        """See `Store`. Raises StepError as `objects.fetch`."""
        objects.write_bytes(self.address(file), content)

    def install(self, model: Path, version: str, sha256: str) -> None:
        """See `Store`. The checksum goes up after the graph: where it is, the graph is whole."""
        there = self.sha256(version)
        if there is not None and there != sha256:
            raise ObjectAltered(self.address(f"{version}/{MODEL_FILE}"), there, sha256)
        found = model_sha256(model)
        if found != sha256:
            raise ArtifactAltered(model / MODEL_FILE, found, sha256)
        objects.put(model / MODEL_FILE, self.address(f"{version}/{MODEL_FILE}"))
        if there is None:
            self.write(f"{version}/{CHECKSUM_FILE}", f"{sha256}  {MODEL_FILE}\n".encode())

    def sha256(self, version: str) -> str | None:
        """See `Store`: as recorded beside the graph. Raises StepError as `objects.fetch`."""
        recorded = (self.read(f"{version}/{CHECKSUM_FILE}") or b"").split()
        return recorded[0].decode(errors="replace") if recorded else None

    def remove(self, version: str, dry_run: bool) -> int:
        """See `Store`. The checksum goes first: without it there is no such version."""
        size = objects.size_of(self.address(version))
        if size and not dry_run:
            objects.delete(self.address(f"{version}/{CHECKSUM_FILE}"))
            objects.delete(self.address(version))
        return size

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See `Store`. A lease that is renewed while the block lasts; what a killed deployment left ends by itself."""
        mine, ended = f"{socket.gethostname()} {os.getpid()} {os.urandom(8).hex()}", threading.Event()
        self._claim(mine)
        renewal = threading.Thread(target=self._renew, args=(mine, ended), daemon=True)
        renewal.start()
        try:
            with ending.taking_back(lambda: self._give_back(mine)):
                yield
        finally:
            ended.set()
            renewal.join()
            self._give_back(mine)

    def _give_back(self, mine: str) -> None:
        # What cannot be given back ends by itself.
        with suppress(StepError):
            if self._holder()[0] == mine:
                objects.delete(self.address(_TURN))

    def _claim(self, mine: str) -> None:
        if objects.claim(self.address(_TURN), _lease(mine)):
            return
        holder, until, tag = self._holder()
        if holder == mine:
            # It was made, and the answer that said so was lost.
            return
        left_s = until - time.time()
        # One that would last longer than any lease does is of a clock that jumped, ours or the other's.
        stands = 0.0 < left_s <= LEASE_S or (tag and self._is_renewed(tag))
        if stands or not objects.claim(self.address(_TURN), _lease(mine), instead_of=tag):
            told = f"{self.address('')}: another deployment is at work ({holder}); try again when it has ended"
            raise TryAgain(told)
        diary.warn("turn_taken_over", message=f"{holder} did not end its deployment", store=self.address(""))

    def _is_renewed(self, tag: str) -> bool:
        """Whether who has the turn is at work, whatever the clocks say: then its lease is soon another one."""
        deadline = time.monotonic() + 2 * RENEW_S
        while time.monotonic() < deadline:
            if self._holder()[2] != tag:
                return True
            time.sleep(RENEW_S / 10)
        return False

    def _renew(self, mine: str, ended: threading.Event) -> None:
        while not ended.wait(RENEW_S):
            # What fails is tried again at the next one; never in the place of a lease that another has by now.
            with suppress(StepError):
                holder, _, tag = self._holder()
                if holder == mine:
                    objects.claim(self.address(_TURN), _lease(mine), instead_of=tag)

    def _holder(self) -> tuple[str, float, str]:
        """Whose turn it is, until when [s since 1970], and the tag of what says so."""
        try:
            content, tag = objects.read_tagged(self.address(_TURN))
            said = json.loads(content)
            return str(said["by"]), float(said["until"]), tag
        except ObjectMissing:
            return "", 0.0, ""
        except (ValueError, KeyError, TypeError):
            return "nobody known", 0.0, tag


def _lease(by: str) -> bytes:
    return json.dumps({"by": by, "until": time.time() + LEASE_S}).encode()
