"""TPL+: a joint fit teaches a network that aligns new videos in one forward pass."""

import copy
from dataclasses import replace
from typing import cast

import torch
from lightning import seed_everything
from torch import Tensor

from tpl_lightning.aligners.joint import JointAligner
from tpl_lightning.config import config_to_dict
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.joint_model import FINE_CELLS, JointModel
from tpl_lightning.lit.matcher import MatcherModule, Teacher
from tpl_lightning.lit.trainer import train as train_module
from tpl_lightning.nn.matcher import PrototypeMatcher, cost_volume

__all__ = ["MatchedAligner"]


_FINER = 4  # points of a signal to one of the picture that is made of it


class MatchedAligner(JointAligner):
    """The joint fit, and a network that predicts its warps (``nn.matcher``).

    With ``config.refine`` (the default) the prediction is where a fit to the prototypes starts; without, it is the
    answer, for training videos as well.
    """

    @property
    def _keeps_training_warps(self) -> bool:  # type: ignore[override]
        return self.config.refines

    def unrefined(self) -> "MatchedAligner | None":
        """Return the same aligner without refinement."""
        if not self.config.refines:
            return None
        one_shot = copy.copy(self)
        one_shot.config = replace(self.config, refine=False)
        return one_shot

    def _learn_more(self, model: JointModel, features: Tensor, theta: Tensor, action: Tensor) -> None:
        """Train the network on warped training videos and add it, with the prototypes it sees, to the state."""
        config = self.config
        seed_everything(config.seed, workers=True, verbose=False)
        teacher = Teacher.from_fit(model, features, theta, action, most=_FINER * config.matcher.size)
        module = MatcherModule(config_to_dict(config), teacher, self._num_cells())
        fingerprint = self._fitted()["fingerprint"]
        train_module(module, config, self.run_dir, fingerprint=fingerprint, max_epochs=config.matcher.epochs)
        state = self._fitted()
        state["matcher_prototypes"] = teacher.mean
        state["matcher"] = {k: v.detach().clone() for k, v in module.network.state_dict().items()}

    def _find(self, model: JointModel, features: Tensor, action: Tensor, videos: VideoSet) -> Tensor:
        signal = model.space(features)
        theta = self._predict(model, signal, action)
        return model.align(signal, action, theta=theta)[0] if self.config.refines else theta

    @torch.inference_mode()
    def _predict(self, model: JointModel, signal: Tensor, action: Tensor) -> Tensor:
        """Return the network's answer, averaged with the warp of the best path, theta (N, d).

        Their errors differ: the network's picture is coarse, but it has learned what noise looks like; a path is sharp
        and follows the noise.
        """
        state, options = self._fitted(), self.config.matcher
        path = model.path_warps(signal, action) if options.path > 0 else None
        # Phases of a long recording are shorter than what a point of the network's picture covers.
        if path is not None and self._num_cells() >= FINE_CELLS:
            return model.steadied(path)
        network = PrototypeMatcher(
            size=options.size, width=options.width, depth=options.depth, num_cells=self._num_cells()
        ).to(self.device)
        network.load_state_dict(state["matcher"])
        prototypes = state["matcher_prototypes"].to(self.device)[action]
        cost = cost_volume(signal, prototypes, size=options.size, level_freedom=model.options.level_freedom)
        theta = cast(Tensor, network.eval()(cost)[0]).clone()
        return model.steadied(theta if path is None else torch.lerp(theta, path, options.path))
