"""Workers that die, stop and leave: nothing is lost, nothing runs in secret."""
