"""How rows of evaluations are run: asked, looked up, judged."""
