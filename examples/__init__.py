"""Programs to learn from; `maestrale demo` runs the receiver."""
