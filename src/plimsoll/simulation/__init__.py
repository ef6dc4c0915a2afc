"""A market of several exchanges made of mechanisms, whose truth is known."""
