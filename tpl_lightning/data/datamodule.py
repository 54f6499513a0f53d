"""The LightningDataModule over an embedding cache."""

from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from tpl_lightning.config import DataConfig
from tpl_lightning.data.batch import Batch, Sample, collate
from tpl_lightning.data.cache import VideoSet
from tpl_lightning.data.preprocess import Preprocessor
from tpl_lightning.data.samplers import LengthBucketSampler, OrderedShardSampler
from tpl_lightning.data.splits import Splits

__all__ = ["EmbeddingDataModule", "EmbeddingDataset"]

_KEPT_BYTES = 512 * 2**20  # preprocessed videos kept in memory per data set and process


class EmbeddingDataset(Dataset[Sample]):
    """Preprocessed videos of a set, read whole; kept in memory as long as they fit.

    Args:
        videos: The videos.
        preprocessor: Fitted preprocessing.
        actions: Sorted names of the actions that a model knows.
    """

    def __init__(self, videos: VideoSet, preprocessor: Preprocessor, actions: list[str]) -> None:
        """Look up the action numbers."""
        self.videos, self.preprocessor = videos, preprocessor
        number = {action: i for i, action in enumerate(actions)}
        self.action = [number[str(a)] for a in videos.action]
        self._kept: dict[int, Sample] = {}
        self._keep = int(videos.lengths.sum()) * preprocessor.num_channels * 4 <= _KEPT_BYTES

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    def __getitem__(self, index: int) -> Sample:
        """Return a video."""
        if index in self._kept:
            return self._kept[index]
        embeddings = self.preprocessor(self.videos.read(index))
        sample = Sample(embeddings, self.videos.labels(index), self.action[index], index)
        if self._keep:
            self._kept[index] = sample
        return sample


class EmbeddingDataModule(LightningDataModule):
    """Serves padded batches of the three splits.

    Args:
        splits: The videos.
        preprocessor: Fitted preprocessing.
        actions: Sorted names of the actions that the model knows.
        data: Batch size, workers.
        seed: Seed of the shuffling.
    """

    def __init__(
        self, splits: Splits, preprocessor: Preprocessor, actions: list[str], data: DataConfig, seed: int
    ) -> None:
        """Wrap the splits."""
        super().__init__()
        self.data, self.seed, self.splits = data, seed, splits
        self.train, self.val, self.test = (
            EmbeddingDataset(videos, preprocessor, actions) for videos in (splits.train, splits.val, splits.test)
        )
        self._make = lambda videos: EmbeddingDataset(videos, preprocessor, actions)

    def _loader(self, dataset: EmbeddingDataset, **options: Any) -> DataLoader[Batch]:
        workers = self.data.num_workers
        return DataLoader(
            dataset,  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return shuffled batches of similar lengths."""
        lengths = self.splits.train.lengths
        sampler = LengthBucketSampler(lengths, batch_size=self.data.batch_size, seed=self.seed)
        return self._loader(self.train, batch_sampler=sampler)

    def prototype_dataloader(self) -> DataLoader[Batch]:
        """Return the training videos in order, sharded over the ranks: they make and label the prototypes."""
        return self._loader(self.train, batch_size=self.data.batch_size, sampler=OrderedShardSampler(len(self.train)))

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return loader 0, the training videos (they label the prototypes), and loader 1, new ones if there are."""
        loaders = [self.prototype_dataloader()]
        if len(self.val):
            sampler = OrderedShardSampler(len(self.val))
            loaders.append(self._loader(self.val, batch_size=self.data.batch_size, sampler=sampler))
        return loaders

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the test videos in order, sharded over the ranks."""
        return self._loader(self.test, batch_size=self.data.batch_size, sampler=OrderedShardSampler(len(self.test)))

    def loader(self, videos: VideoSet) -> DataLoader[Batch]:
        """Return any videos in order, all on this rank."""
        dataset = self._make(videos)
        return self._loader(dataset, batch_size=self.data.batch_size, sampler=SequentialSampler(dataset))
