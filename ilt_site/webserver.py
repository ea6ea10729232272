"""gunicorn's configuration: `gunicorn -c python:ilt_site.webserver ilt_site.wsgi`."""

import os

from ilt_site.logs import logging_config

bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "16"))  # some wait: for the half second of a sign-in, or for the database
worker_class = "gthread"
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
