"""From maps and whole-image statistics to the one number that is calibrated."""
