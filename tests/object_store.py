"""A server that speaks as S3 does, a real process on this machine, and what sends Metaflow there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

BUCKET, ROOT = "bucket", "s3://bucket/metaflow"
KEYS = {"AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """The address of such a server, which ends with the context; it has an empty bucket."""
    log = folder / "moto.log"
    with log.open("w") as kept:
        command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=kept, stderr=subprocess.STDOUT, cwd=folder)
    try:
        address = None
        while address is None:
            assert process.poll() is None, log.read_text()
            address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        client(address[0]).create_bucket(Bucket=BUCKET)
        yield address[0]
    finally:
        process.terminate()
        process.wait()


def client(address: str):
    """A client of a server."""
    keys = {name.lower(): value for name, value in KEYS.items() if "KEY" in name}
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)


def variables(address: str) -> dict[str, str]:
    """What sends Metaflow's artifacts to a server."""
    return KEYS | {
        "METAFLOW_S3_ENDPOINT_URL": address,
        "METAFLOW_DATASTORE_SYSROOT_S3": ROOT,
        "METAFLOW_DEFAULT_DATASTORE": "s3",
    }
