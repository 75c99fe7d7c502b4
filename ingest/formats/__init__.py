"""What a stream says. A format turns a spooled slice into the relation `incoming` of its kind, and finds single records in bytes."""
