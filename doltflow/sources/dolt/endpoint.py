"""Where a server listens, and how to be let in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

SslMode = Literal["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
"""MySQL's words: no TLS; TLS if the server has it; only with TLS; and with a certificate of a known authority; and of
that very host."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and how to be let in.

    Attributes:
        host, port: Name or number of the machine, and TCP port.
        user, password: The account.
        load_folder: The folder that the server may load files from, and write them to; None where somebody else runs
            the server. It is there only while a file is loaded: else no query writes one.
        ssl_mode: Whether the connection is encrypted, and what is asked of the server's certificate.
        ssl_ca: File with the certificates of the authorities that are trusted; the system's without it.
        queues: The folder in which the processes of this machine wait for their turn to write.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    load_folder: Path | None = None
    ssl_mode: SslMode = "DISABLED"
    ssl_ca: str | None = None
    queues: Path | None = None
