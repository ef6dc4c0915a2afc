"""What the documentation claims of speed and memory, measured against a named rival."""
