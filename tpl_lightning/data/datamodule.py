"""The LightningDataModule over an embedding cache."""

from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from tpl_lightning.config import DataConfig
from tpl_lightning.data.batch import Batch, Sample, collate
from tpl_lightning.data.cache import VideoSet
from tpl_lightning.data.preprocess import Preprocessor
from tpl_lightning.data.samplers import STAND_IN, LengthBucketSampler, OrderedShardSampler, rank_and_world
from tpl_lightning.data.splits import Splits
from tpl_lightning.errors import UserError

__all__ = ["EmbeddingDataModule", "EmbeddingDataset"]

_KEPT_BYTES = 512 * 2**20  # preprocessed videos of a data set kept in memory, over all its worker processes


class EmbeddingDataset(Dataset[Sample]):
    """Preprocessed videos of a set, read whole; kept in memory where all of them fit.

    Args:
        videos: The videos.
        preprocessor: Fitted preprocessing.
        actions: Sorted names of the actions that a model knows.
        keep_bytes: Memory that a process may use to keep them.

    Raises:
        UserError: If a video's action is not among ``actions``.
    """

    def __init__(
        self, videos: VideoSet, preprocessor: Preprocessor, actions: list[str], *, keep_bytes: int = _KEPT_BYTES
    ) -> None:
        """Look up the action numbers."""
        self.videos, self.preprocessor = videos, preprocessor
        number = {action: i for i, action in enumerate(actions)}
        unknown = sorted(set(videos.actions) - set(number))
        if unknown:
            raise UserError(
                f"{videos.cache.path}: action {unknown[0]!r} is not among those of the training videos "
                f"({', '.join(actions)}); name the actions to keep with data.actions=[...]."
            )
        self.action = [number[action] for action in videos.action.tolist()]
        self._kept: dict[int, Sample] = {}
        self._keep = int(videos.lengths.sum()) * preprocessor.num_channels * 4 <= keep_bytes

    def __getstate__(self) -> dict[str, Any]:
        """Leave the kept videos behind: another process reads them faster than it unpickles them."""
        return {**self.__dict__, "_kept": {}}

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    def __getitem__(self, index: int) -> Sample:
        """Return a video, or for :data:`STAND_IN` one without labels and number."""
        if index == STAND_IN:
            video = self[0]
            return video._replace(labels=np.full_like(video.labels, -1), video_index=STAND_IN)
        if index in self._kept:
            return self._kept[index]
        embeddings = self.preprocessor(self.videos.read(index))
        if not np.isfinite(embeddings.sum()):
            raise UserError(
                f"{self.videos.cache.path}: video {str(self.videos.video_id[index])!r}: embeddings hold NaN or "
                "infinity; make the cache anew (`tpl cache validate` reads all of it)."
            )
        sample = Sample(embeddings, self.videos.labels(index), self.action[index], index)
        if self._keep:
            self._kept[index] = sample
        return sample


class EmbeddingDataModule(LightningDataModule):
    """Serves padded batches of the three splits.

    The samplers know their rank, so the Trainer needs ``use_distributed_sampler=False``.

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
        self.preprocessor, self.actions = preprocessor, actions
        self._resume = (0, 0)
        self.train, self.val, self.test = (self._dataset(part) for part in (splits.train, splits.val, splits.test))

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch to go on with and how many of its batches are done, for a checkpoint."""
        assert self.trainer is not None
        loop, epoch = self.trainer.fit_loop, self.trainer.current_epoch
        done: int = vars(loop.epoch_loop.batch_progress.current)["processed"]
        processed: int = vars(loop.epoch_progress.current)["processed"]
        is_complete = processed > epoch or done >= self.trainer.num_training_batches
        return {"epoch": epoch + 1, "batches": 0} if is_complete else {"epoch": epoch, "batches": done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Begin there; Lightning calls this before it asks for a loader."""
        self._resume = (state_dict["epoch"], state_dict["batches"])

    def _dataset(self, videos: VideoSet) -> EmbeddingDataset:
        keep = _KEPT_BYTES // max(self.data.num_workers, 1)  # each worker keeps its own
        return EmbeddingDataset(videos, self.preprocessor, self.actions, keep_bytes=keep)

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

    def _sharded(self, dataset: EmbeddingDataset) -> DataLoader[Batch]:
        return self._loader(dataset, batch_size=self.data.batch_size, sampler=OrderedShardSampler(len(dataset)))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return shuffled batches of similar lengths.

        Raises:
            UserError: If there are fewer training videos than processes.
        """
        count, world = len(self.train), rank_and_world()[1]
        if count < world:
            raise UserError(
                f"{self.splits.train.cache.path}: {count} training videos cannot be spread over {world} devices; "
                f"use trainer.devices={count} or fewer."
            )
        sampler = LengthBucketSampler(
            self.splits.train.lengths, batch_size=self.data.batch_size, seed=self.seed, resume=self._resume
        )
        return self._loader(self.train, batch_sampler=sampler)

    def prototype_dataloader(self) -> DataLoader[Batch]:
        """Return the training videos in order, sharded over the ranks: they make and label the prototypes."""
        return self._sharded(self.train)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return loader 0, the training videos (they label the prototypes), and loader 1, new ones if there are."""
        return [self._sharded(part) for part in (self.train, self.val) if part is self.train or len(part)]

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the test videos in order, sharded over the ranks; all videos where there is no test split."""
        return self._sharded(self.test if len(self.test) else self._dataset(self.splits.all()))

    def loader(self, videos: VideoSet) -> DataLoader[Batch]:
        """Return any videos in order, all on this rank."""
        dataset = self._dataset(videos)
        return self._loader(dataset, batch_size=self.data.batch_size, sampler=SequentialSampler(dataset))
