"""What is traded and what happens: instruments, symbols, events and their tables."""
