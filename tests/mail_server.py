"""A mail server on the loopback for tests; `python -m tests.mail_server COMMAND …` runs a command with EMAIL_URL naming
it."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
import time

REFUSED = "refused@example.com"


class Server(socketserver.ThreadingTCPServer):
    """An SMTP server on the loopback, as RFC 5321 has it: keeps what it accepted, may be slow, refuses one address."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int = 0, delay: float = 0) -> None:
        super().__init__(("127.0.0.1", port), Session)
        self.delay = delay
        self.accepted: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that did not wait."""


class Session(socketserver.StreamRequestHandler):
    """One connection: EHLO, MAIL, RCPT, DATA, QUIT."""

    server: Server

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        time.sleep(self.server.delay)  # the fault itself: a server that takes its time
        self.say("220 mail.example ESMTP")
        to: list[str] = []
        while line := self.rfile.readline().decode().strip():
            match line.split(":")[0].split()[0].upper():
                case "DATA":
                    self.say("354 go on")
                    while self.rfile.readline().strip() != b".":
                        pass
                    self.server.accepted += to
                    self.say("250 taken")
                case "RCPT":
                    address = line[line.index("<") + 1 : line.index(">")]
                    to = [] if address == REFUSED else [address]
                    self.say("250 ok" if to else "550 no such mailbox")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")


if __name__ == "__main__":
    running = Server()
    url = f"smtp://127.0.0.1:{running.server_address[1]}"
    sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "EMAIL_URL": url}, check=False).returncode)
