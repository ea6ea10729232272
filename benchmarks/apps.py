"""The app of the measured models. Part of `benchmarks.settings` only, never of the product."""

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks"
