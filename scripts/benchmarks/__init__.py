"""`scripts/bench`: chatkit and its peers under the same load on the same machine, side by side."""
