"""MongoDB and the blob store: everything that is durable."""
