"""Types of tensors by the names of their axes, ``Float[Tensor, "B T C"]``; the tests check them at every call.

Letters as in the equations: B, N videos, T frames, P, L prototype points, C channels, D latent channels, A actions,
K phases, G grid points, d parameters of a warp. ``{size}`` is an argument's value; ``*B`` may be missing.
Where jaxtyping is not installed, an annotation is the plain type.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped
else:
    try:
        from jaxtyping import Bool, Float, Int, Shaped
    except ImportError:

        class Shaped:
            """Stands for jaxtyping's types."""

            def __class_getitem__(cls, item: tuple[type, str]) -> type:
                """Return the type of the array."""
                return item[0]

        Bool = Float = Int = Shaped
