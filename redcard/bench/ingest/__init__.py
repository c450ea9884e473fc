"""The server under load: real processes, real sockets, a real PostgreSQL, both sides in one run."""
