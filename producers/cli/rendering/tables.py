"""The one look of our tables."""

from rich.table import Table


def bare_table(*columns: str) -> Table:
    """A table without lines, its titles dimmed; these columns never wrap."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table
