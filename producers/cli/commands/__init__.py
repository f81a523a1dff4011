"""The commands: what each takes, and which run or rendering it hands that to."""
