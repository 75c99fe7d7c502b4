"""Records that arrive as HTTP requests: bodies are bounded and told apart, senders known by their tokens, and a request is
answered only after the transaction that holds its records and its answer has been committed.
"""
