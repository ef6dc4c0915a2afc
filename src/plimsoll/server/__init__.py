"""What a session knows, over HTTP and WebSocket, and the page that shows it."""
