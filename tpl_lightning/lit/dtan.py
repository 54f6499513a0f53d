"""DTAN as a LightningModule: three objectives on the embeddings themselves."""

from typing import Any

from torch import Tensor

from tpl_lightning.data import Batch
from tpl_lightning.functional import global_mean
from tpl_lightning.functional.losses import icae_loss, wcss_loss
from tpl_lightning.functional.warps import prior_energy
from tpl_lightning.lit.module import AlignmentModule, warp_options
from tpl_lightning.nn import DTAN, DTANOutput


class DTANModule(AlignmentModule):
    """Warps predicted by InceptionTime from the embeddings (``nn.dtan``), trained on ``dtan.objective``.

    Args:
        config: The configuration as nested dictionaries of primitives (``config_to_dict``).
        metadata: See :class:`~tpl_lightning.lit.module.AlignmentModule`.
    """

    def __init__(self, config: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Build the network."""
        super().__init__(config, metadata)
        size = {key: config["model"][key] for key in ("aligner_filters", "aligner_depth")}
        self.model = DTAN(metadata["num_channels"], **size, **warp_options(config))

    def objective(self, batch: Batch, output: DTANOutput) -> dict[str, Tensor]:
        """Return the terms of the loss of a batch, against the prototypes of this batch (of all ranks)."""
        lengths = self.prototype_lengths[batch.action]
        prototype = self.batch_prototypes(output.aligned_latent, batch.action)
        options = self.config["dtan"]
        if options["objective"] == "icae":
            icae = icae_loss(output.latent, output.position, prototype, batch.action, batch.lengths, lengths)
            return {"icae": icae}
        terms = {"wcss": wcss_loss(output.aligned_latent, prototype, batch.action, lengths)}
        if options["objective"] == "wcss_prior":
            energy = prior_energy(output.theta, num_cells=self.model.levels)
            terms["prior"] = options["prior"] * global_mean(energy)
        return terms

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the objective of a batch."""
        terms = self.objective(batch, self(batch))
        loss = sum(terms.values(), terms[next(iter(terms))].new_zeros(()))
        self.log_losses({"loss": loss, **terms})
        return loss
