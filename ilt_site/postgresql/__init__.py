"""Django's PostgreSQL backend with a compiler that remembers what every question for whole rows says again.

`base` is what Django asks a backend for, `compiler` is what differs.
"""
