"""Passes what a server sends on to a reader, and no more than is asked for: a script of its own that needs no doltflow.

It is for a reader that takes all that there is as fast as it comes. As a process of its own, as that reader, while it
connects, lets nothing else of its process run. It prints the port that it listens at. What it reads from its input
opens the way (`+`), closes it but for a little to work on meanwhile (`-`), or cuts all that there is (`x`), after which
nobody can connect anew; after the input's end it ends as soon as no connection is left.
"""

import os
import select
import socket
import sys

AHEAD = 1 << 20
"""So many bytes pass after the way was closed."""
_PIECE = 1 << 17
_PATIENCE = 5.0


def main(host: str, port: str) -> None:
    """Relays connections to a server until nobody is left who asks for more."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201  It is the answer.
    ends: dict[socket.socket, socket.socket] = {}
    servers: set[socket.socket] = set()
    left, orders = float("inf"), [sys.stdin.fileno()]
    while orders or ends:
        waiting = [end for end in ends if left > 0 or end not in servers]
        ready, _, _ = select.select([*orders, listener, *waiting], [], [], None if orders else _PATIENCE)
        if not ready:
            return
        for one in ready:
            if isinstance(one, int):
                said = os.read(one, _PIECE)
                if not said:
                    orders.clear()
                if b"x" in said:
                    for one_end in (listener, *ends):  # The listener first: who tries again is refused at once.
                        one_end.close()
                    return
                left = AHEAD if said.endswith(b"-") else float("inf")
            elif one is listener:
                client, server = listener.accept()[0], socket.create_connection((host, int(port)))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ends |= {client: server, server: client}
                servers.add(server)
            elif one in ends:
                passed = _pass(one, ends[one])
                if one in servers:
                    left -= passed
                if not passed:
                    other = ends.pop(one)
                    del ends[other]
                    servers -= {one, other}
                    one.close()
                    other.close()


def _pass(source: socket.socket, target: socket.socket) -> int:
    """Passes on what has come; nothing where either has ended."""
    try:
        data = source.recv(_PIECE)
        target.sendall(data)
    except OSError:
        return 0
    return len(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
