"""Mathematics of tensors: warps, resampling, losses, prototypes, scores. No Lightning, no files."""
