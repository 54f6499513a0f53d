"""Data: embedding caches, splits, preprocessing, batches, videos and what embeds them."""
