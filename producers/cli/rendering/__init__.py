"""What a terminal shows, and what `--json` prints. Pure: data in, words or facts out."""
