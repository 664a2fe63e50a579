"""A measured load on one server: senders, subscribers, and what came of it."""
