"""A forwarder for senders that do not retry: acknowledge what is on disk, deliver it until it is accepted."""
