"""Who pays: callers become teams and cost centers, and a month's policies settle idle and shared costs."""
