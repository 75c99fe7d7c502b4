"""What no stage owns: command line, config, schedule, pipeline, ledger and the pure domain."""

__version__ = "0.1.0"
