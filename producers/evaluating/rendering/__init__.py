"""Reports as people read them: one HTML page that stands alone, Markdown, charts."""
