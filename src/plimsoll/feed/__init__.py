"""Streams of events, one shape: whatever is live, stored or simulated is an async iterator."""
