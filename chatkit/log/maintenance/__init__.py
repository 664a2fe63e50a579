"""What keeps a database healthy: backup, restore, pruning and a check-up."""
