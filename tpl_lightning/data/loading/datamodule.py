"""The LightningDataModule over an embedding cache."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from tpl_lightning.config import DataConfig
from tpl_lightning.data.loading.batch import COMPILED_STEP, Batch, PackedBatch
from tpl_lightning.data.loading.preprocessing import KEPT_BYTES, Preprocessor
from tpl_lightning.data.loading.read_ahead import ReadAheadLoader
from tpl_lightning.data.loading.samplers import STAND_IN, LengthBucketSampler, OrderedShardSampler, rank_and_world
from tpl_lightning.data.loading.splits import Splits
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


class EmbeddingDataset(Dataset[PackedBatch]):
    """Videos of a set, read whole, a batch at a time, as the cache holds them.

    Padding and preprocessing are left to the device that gets the batch: what travels is small, and workers read as
    fast as the disk gives.

    Args:
        videos: The videos.
        actions: Sorted names of the actions that a model knows.
        few_sizes: Pad to multiples of :data:`COMPILED_STEP` frames.

    Raises:
        UserError: If a video's action is not among ``actions``.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.zeros((5, 3)), np.ones((4, 3))], action=["jump", "jump"]))
        >>> len(EmbeddingDataset(videos, ["jump"]))
        2
    """

    def __init__(self, videos: VideoSet, actions: list[str], *, few_sizes: bool = False) -> None:
        """Look up the action numbers."""
        self.videos, self.step = videos, COMPILED_STEP if few_sizes else 1
        number = {action: i for i, action in enumerate(actions)}
        unknown = sorted(set(videos.actions) - set(number))
        if unknown:
            raise UserError(
                f"{videos.cache.path}: action {unknown[0]!r} is not among those of the training videos "
                f"({', '.join(actions)}); name the actions to keep with data.actions=[...]."
            )
        self.action = np.array([number[action] for action in videos.action.tolist()], dtype=np.int64)
        self._kept: list[Tensor] | None = None

    def keep(self, preprocessor: Preprocessor) -> None:
        """Read all videos once, and serve them preprocessed from memory; nothing is done where they do not fit there.

        Raises:
            UserError: As when a batch is read.
        """
        videos = self.videos
        if self._kept is not None or int(videos.lengths.sum()) * preprocessor.num_channels * 4 > KEPT_BYTES:
            return
        kept: list[Tensor] = []
        for rows in videos.in_blocks(np.arange(len(videos))):
            lengths = videos.lengths[rows].tolist()
            kept += preprocessor.packed(videos.read_block(rows), lengths).split(lengths)
        self._kept = kept

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    def __getitem__(self, index: int) -> PackedBatch:
        """Return a batch of one video."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> PackedBatch:
        """Return a batch; :data:`STAND_IN` is the first video, without labels and number.

        Raises:
            UserError: If a video cannot be read, or holds NaN or infinity; names it.
        """
        index = np.array(indices, dtype=np.int64)
        rows = np.where(index == STAND_IN, 0, index)
        lengths = self.videos.lengths[rows]
        count, longest = int(lengths.sum()), int(lengths.max())
        labels = np.full(count + 1, -1, dtype=np.int16)
        if self._kept is None:
            read = np.empty((count + 1, self.videos.num_channels), self.videos.cache.served_dtype)
            self.videos.read_batch(rows, read[:-1], labels[:-1])
            read[-1] = 0
            frames = torch.from_numpy(read)
        else:
            kept = [self._kept[i] for i in rows.tolist()]
            frames = torch.cat([*kept, kept[0].new_zeros(1, kept[0].shape[1])])
            labels[:-1] = np.concatenate([self.videos.labels(i) for i in rows.tolist()])
        labels[:-1][np.repeat(index == STAND_IN, lengths)] = -1
        return PackedBatch(
            frames=frames,
            labels=torch.from_numpy(labels),
            lengths=torch.from_numpy(lengths),
            action=torch.from_numpy(self.action[rows]),
            video_index=torch.from_numpy(index),
            size=longest + -longest % self.step,
            is_ready=self._kept is not None,
        )


class EmbeddingDataModule(LightningDataModule):
    """Serves batches of the three splits: packed, and padded once they are on the device.

    The samplers know their rank, so the Trainer needs ``use_distributed_sampler=False``.

    Args:
        splits: The videos.
        preprocessor: Fitted preprocessing.
        actions: Sorted names of the actions that the model knows.
        data: Batch size, workers.
        seed: Seed of the shuffling.
        few_sizes: See :class:`EmbeddingDataset`; for a network that is compiled.

    Example:
        >>> from tpl_lightning.data import ArrayCache, VideoSet, split_videos
        >>> videos = VideoSet(ArrayCache([np.eye(4)] * 5, action=["jump"] * 5))
        >>> data = DataConfig(folds=5, pca=2)
        >>> splits = split_videos(videos, data)
        >>> module = EmbeddingDataModule(splits, Preprocessor.fit(splits.train, data), ["jump"], data, seed=0)
        >>> [len(batch.lengths) for batch in module.train_dataloader()]
        [4]
    """

    def __init__(
        self,
        splits: Splits,
        preprocessor: Preprocessor,
        actions: list[str],
        data: DataConfig,
        seed: int,
        *,
        few_sizes: bool = False,
    ) -> None:
        """Wrap the splits."""
        super().__init__()
        self.data, self.seed, self.splits = data, seed, splits
        self.preprocessor, self.actions, self.few_sizes = preprocessor, actions, few_sizes
        self._on_device = preprocessor
        self._resume = (0, 0)
        self.train, self.val, self.test = (self._dataset(part) for part in (splits.train, splits.val, splits.test))

    def setup(self, stage: str) -> None:
        """Keep what a training reads again and again; Lightning calls this before it."""
        if stage == "fit":
            self.train.keep(self.preprocessor)
            self.val.keep(self.preprocessor)

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

    def on_after_batch_transfer(self, batch: PackedBatch, dataloader_idx: int) -> Batch:
        """Pad and preprocess a batch where it is used; the Trainer calls this for every batch."""
        self._on_device = self._on_device.to(batch.frames.device)
        return self._on_device.padded(batch)

    def batches(self, loader: Iterable[PackedBatch], module: LightningModule) -> Iterator[Batch]:
        """Yield the batches of a loader as the Trainer would: on the module's device, preprocessed."""
        for batch in loader:
            on_device = module.transfer_batch_to_device(module.on_before_batch_transfer(batch, 0), module.device, 0)
            yield self.on_after_batch_transfer(on_device, 0)

    def _dataset(self, videos: VideoSet) -> EmbeddingDataset:
        return EmbeddingDataset(videos, self.actions, few_sizes=self.few_sizes)

    def _loader(self, dataset: EmbeddingDataset, **options: Any) -> DataLoader[PackedBatch]:
        return ReadAheadLoader(dataset, threads=self.data.num_workers, **options)

    def _sharded(self, dataset: EmbeddingDataset) -> DataLoader[PackedBatch]:
        return self._loader(dataset, batch_size=self.data.batch_size, sampler=OrderedShardSampler(len(dataset)))

    def train_dataloader(self) -> DataLoader[PackedBatch]:
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

    def prototype_dataloader(self) -> DataLoader[PackedBatch]:
        """Return the training videos in order, sharded over the ranks: they make and label the prototypes."""
        return self._sharded(self.train)

    def val_dataloader(self) -> list[DataLoader[PackedBatch]]:
        """Return loader 0, the training videos (they label the prototypes), and loader 1, new ones if there are."""
        return [self._sharded(part) for part in (self.train, self.val) if part is self.train or len(part)]

    def test_dataloader(self) -> DataLoader[PackedBatch]:
        """Return the test videos in order, sharded over the ranks; all videos where there is no test split."""
        return self._sharded(self.test if len(self.test) else self._dataset(self.splits.all()))

    def loader(self, videos: VideoSet) -> DataLoader[PackedBatch]:
        """Return any videos in order, all on this rank."""
        dataset = self._dataset(videos)
        return self._loader(dataset, batch_size=self.data.batch_size, sampler=SequentialSampler(dataset))
