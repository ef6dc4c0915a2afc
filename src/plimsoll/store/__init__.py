"""The archive: facts appended to a journal and sealed into immutable files."""
