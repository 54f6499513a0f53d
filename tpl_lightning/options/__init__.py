"""Groups of options, each a frozen dataclass that checks itself; ``config`` makes one tree of them."""
