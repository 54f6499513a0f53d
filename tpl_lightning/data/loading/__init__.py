"""What a training reads: splits, preprocessing, samplers, batches, and the LightningDataModule that serves them."""
