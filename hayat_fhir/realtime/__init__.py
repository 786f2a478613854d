"""The doors `/socket.io` and `/peerjs`: presence, calls and their signalling; the media peer of the server."""
