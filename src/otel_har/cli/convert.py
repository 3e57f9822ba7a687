"""x"""

import click


@click.command()
def convert() -> None:
    """X"""
