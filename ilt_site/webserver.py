"""gunicorn's configuration: `gunicorn -c python:ilt_site.webserver ilt_site.wsgi`.

What must never happen: threads that wait for people who say nothing, while visitors wait for a thread. nginx holds slow
connections back from here (docs/deploy/nginx.conf); whoever reaches gunicorn itself finds two limits of our own.
"""

import os
import socket
import struct
from typing import Any

from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from ilt_site.logs import logging_config

SILENT_SECONDS = 10  # in the middle of a request


class PatientWorker(ThreadWorker):
    """gunicorn's worker with threads, of which none waits for a connection that has sent nothing.

    gunicorn itself gives each new connection a thread for five seconds, so that some dozens of idle ones use them all
    up.
    """

    def handle(self, conn: TConn) -> Any:
        """Answer a request; a connection without one goes back to the list that is watched, and is closed in time."""
        if not conn.initialized and not conn.data_ready and not conn.wait_for_data(0):
            return _DEFER
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENT_SECONDS, 0))
        return super().handle(conn)


bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "16"))  # some wait: for the half second of a sign-in, or for the database
worker_class = PatientWorker
preload_app = True  # loaded and checked once, before the workers are forked
timeout = 60
graceful_timeout = 10
keepalive = 5
max_requests = 5000
max_requests_jitter = 500
control_socket_disable = True
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
limit_request_line = 4094
limit_request_fields = 60
accesslog = None  # the application writes its own line, without path arguments, query, referrer or IP
logconfig_dict = logging_config(os.environ.get("LOG_LEVEL", "INFO"))
