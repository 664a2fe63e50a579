"""The client: what programs, and ``chatkit send`` and ``chatkit tail`` themselves, talk to a server with."""
