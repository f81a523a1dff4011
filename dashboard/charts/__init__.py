"""Charts as SVG: of a job, a training, a sweep, an evaluation; how they are drawn. Pure."""
