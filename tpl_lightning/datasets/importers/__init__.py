"""Data sets as they are handed out, read into clips to embed; one module per layout."""
