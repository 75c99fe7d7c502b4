"""What the books say, for machines and people: published results, Prometheus metrics, chargeback tables, status."""
