"""The command `vsg`."""
