"""What a run leaves in its output folder, and what is believed of it when it is read back."""
