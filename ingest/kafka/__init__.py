"""Topics of a Kafka cluster, read by a consumer group whose offsets the ledger keeps."""
