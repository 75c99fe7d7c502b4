"""GPUs of this host, read from the driver itself."""
