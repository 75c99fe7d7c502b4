"""Prometheus: what exporters of engines and GPUs expose, scraped here, or asked of a server that scrapes them."""
