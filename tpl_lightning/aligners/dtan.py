"""DTAN: warps predicted from the embeddings themselves."""

from tpl_lightning.aligners.tpl import TPLAligner
from tpl_lightning.lit import DTANModule

__all__ = ["DTANAligner"]


class DTANAligner(TPLAligner):
    """Diffeomorphic temporal alignment nets on ``dtan.objective``; trained, stored and applied as TPL is."""

    module_class = DTANModule  # type: ignore[assignment]
