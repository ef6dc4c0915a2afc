"""How far an answer can be trusted: scores against what really happened."""
