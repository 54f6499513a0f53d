"""Recordings that are no videos: tables of channels, keypoint files, robots' episodes; one module per layout."""
