"""SeaweedFS as an S3 store on a volume: one bucket, one identity with rights on it alone.

`weed mini` is everything in one process and binds it all to one address; beside the S3 port it opens one by which
anyone may add an administrator (gRPC, `PutIdentity`, no authentication; found in 4.48). So all of it stays on the
loopback, and this process forwards the S3 port alone, from the moment the bucket is there and can take something.
"""

import asyncio
import http.client
import json
import secrets
import signal
import sys
import time
from collections.abc import Mapping

from . import s3, volume

BUCKET, PORT = "pipeline-artifacts", 8333
_SERVER = "/opt/brakeline/bin/weed"
_DATA = volume.VOLUME / "seaweedfs"
_FOR_CLIENTS = volume.VOLUME / "aws-credentials"
_LOOPBACK, _INNER_PORT, _MASTER_PORT = "127.0.0.1", 8334, 9333
_RIGHTS = ("Read", "Write", "List", "Tagging")
# A volume is a file that grows as it fills; many small ones give back what is deleted sooner.
_VOLUME_MB = 256
# A stop waits until the server's own idle connections have timed out: by default 30 s, longer than engines wait.
_IDLE_S = 4
# Restarted, the server may refuse to write for 15 s, until it has surely heard of all its volumes; and some to spare.
_WARM_UP_S = 30
# What uploads and downloads may hold in memory; without bounds a few parallel clients take gigabytes.
_UPLOADS_MB, _DOWNLOADS_MB = 64, 64
_CHUNK = 1 << 18


def start() -> None:
    """Run the server until it ends or is told to; ends with its exit status."""
    volume.claim()
    made = {
        "access_key_id": f"BL{secrets.token_hex(9).upper()}",
        "secret_access_key": secrets.token_urlsafe(30),
        "bucket": BUCKET,
        "region": s3.REGION,
        "port": PORT,
    }
    known = volume.credentials(made)
    # What AWS_SHARED_CREDENTIALS_FILE names: any client of S3 reads it.
    keys = ("access_key_id", "secret_access_key")
    volume.write(_FOR_CLIENTS, "[default]\n" + "".join(f"aws_{key} = {known[key]}\n" for key in keys))
    volume.own(_DATA).mkdir(exist_ok=True)
    sys.exit(asyncio.run(_run(known)))


def ask() -> None:
    """End with 0 if the store lists its bucket for its identity, by the port that clients use."""
    if wrong := s3.lists((_LOOPBACK, PORT), volume.read_credentials(), timeout_s=2):
        sys.exit(wrong)


async def _run(known: Mapping[str, str]) -> int:
    identity = volume.in_memory("identity", json.dumps(_identity(known)))
    server = await asyncio.create_subprocess_exec(_SERVER, *_options(identity), pass_fds=(identity,))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.terminate)
    ended, begun = asyncio.create_task(server.wait()), time.monotonic()
    while not ended.done() and not await asyncio.to_thread(_is_ready, known, begun):
        await asyncio.wait({ended}, timeout=0.1)
    if not ended.done():
        async with await asyncio.start_server(_forward, "0.0.0.0", PORT, limit=_CHUNK):  # noqa: S104  the one open port
            await ended
    return await ended


def _is_ready(known: Mapping[str, str], begun: float) -> bool:
    """Whether the bucket is listed and takes something; a full disk is not waited for, it can be read."""
    if s3.lists((_LOOPBACK, _INNER_PORT), known, timeout_s=2):
        return False
    return _takes(known["bucket"]) or time.monotonic() - begun > _WARM_UP_S


def _takes(bucket: str) -> bool:
    master = http.client.HTTPConnection(_LOOPBACK, _MASTER_PORT, timeout=2)
    try:
        master.request("GET", f"/dir/assign?collection={bucket}")
        return master.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        master.close()


def _options(identity: int) -> list[str]:
    return [
        "-logtostderr=true", "mini", f"-dir={_DATA}", f"-ip={_LOOPBACK}", f"-ip.bind={_LOOPBACK}", f"-bucket={BUCKET}",
        f"-s3.port={_INNER_PORT}", f"-master.port={_MASTER_PORT}", f"-s3.config=/proc/self/fd/{identity}",
        "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false",
        "-master.telemetry=false",
        f"-master.volumeSizeLimitMB={_VOLUME_MB}", "-volume.preStopSeconds=0", f"-idleTimeout={_IDLE_S}",
        f"-s3.concurrentUploadLimitMB={_UPLOADS_MB}", f"-s3.readerCacheSizeMB={_DOWNLOADS_MB}",
    ]  # fmt: skip


def _identity(known: Mapping[str, str]) -> dict[str, object]:
    keys = {"accessKey": known["access_key_id"], "secretKey": known["secret_access_key"]}
    rights = [f"{right}:{known['bucket']}" for right in _RIGHTS]
    return {"identities": [{"name": "pipeline", "credentials": [keys], "actions": rights}]}


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client's connection to the server behind, byte by byte both ways."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection(_LOOPBACK, _INNER_PORT, limit=_CHUNK)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
    for end in (inner_writer, writer):
        end.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
        target.write_eof()
    except OSError:
        # One side is gone: the other direction must end too.
        target.close()


if __name__ == "__main__":
    {"start": start, "ask": ask}[sys.argv[1]]()
