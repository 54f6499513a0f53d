from .build import build_page as build_page

__all__ = ["build_page"]
