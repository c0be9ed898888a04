def run() -> None:
    """X"""
