"""Bytes in and out, politely; nothing here knows what a market is."""
