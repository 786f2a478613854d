"""What the system does, one file per capability; doors call it, it calls the store."""
