"""The settings by which next-token logits become a mixture, and those that publications used."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vsg_core.errors import WrongUse


@dataclass(frozen=True)
class Mixing:
    """The steps from next-token logits to a vector, in this order; None skips a step.

    The order is that of Soft Thinking's own code (arXiv 2505.15778, sglang_soft_thinking_pkg, sampler.py). The
    steps added by the study and by Soft Tokens are inserted where those apply them.

    Args:
        temperature: divide the logits by it; above 0.
        top_k: keep the k most probable tokens; of equally probable ones those with the lower ids.
        top_p: keep the fewest most probable tokens whose share of the remaining probability reaches it; in (0, 1].
        min_p: keep tokens at least this fraction as probable as the most probable one; in (0, 1).
        sharpening: raise the kept probabilities to this power; 1 leaves them. The study's, not Soft Thinking's.
        dirichlet: draw the weights from a Dirichlet distribution of this times the weights (arXiv 2508.03440).
        top_n: mix only the n heaviest remaining tokens (Soft Thinking's max_topk), renormalised.
        gumbel: draw the weights by Gumbel-softmax at this temperature (arXiv 1611.01144, 2508.03440).
        max_norm: scale a longer mixture down to this many mean token-embedding norms (the study).
        gaussian: standard deviation of the noise on every entry of the vector, in standard deviations of the
            table's entries (Soft Tokens, arXiv 2509.19170).

    Raises:
        WrongUse: a value outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    sharpening: float = 1.0
    dirichlet: float | None = None
    top_n: int | None = None
    gumbel: float | None = None
    max_norm: float | None = None
    gaussian: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "sharpening", "dirichlet", "gumbel", "max_norm", "gaussian"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise WrongUse(f"{name} is {value}: give a number above 0")
        for name in ("top_k", "top_n"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise WrongUse(f"{name} is {value}: give at least 1, or None for all")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise WrongUse(f"top_p is {self.top_p}: give a number above 0 and at most 1")
        if self.min_p is not None and not 0 < self.min_p < 1:
            raise WrongUse(f"min_p is {self.min_p}: give a number between 0 and 1")

    @property
    def is_random(self) -> bool:
        """Return whether the vectors depend on the generators as well as on the logits."""
        return any(value is not None for value in (self.dirichlet, self.gumbel, self.gaussian))


PLAIN = Mixing()
# The study's settings (abstractionlair/vector-space-generation, src/qwen_concept_tokens.py).
STUDY = Mixing(temperature=0.8, top_k=50, sharpening=1.5, max_norm=1.5)
# The settings in Soft Thinking's readme (arXiv 2505.15778), and its random variants at their best (arXiv 2508.03440).
SOFT_THINKING = Mixing(temperature=0.6, top_k=30, top_p=0.95, min_p=0.001, top_n=10)
DIRICHLET = replace(SOFT_THINKING, dirichlet=4.0)
GUMBEL = replace(SOFT_THINKING, gumbel=0.5)
# Soft tokens (arXiv 2509.19170). The paper gives sigma as 0.33 of the embeddings' "RMS norm". We read that as the root
# mean square of an entry: the noise is then a third as long as an embedding, not many times as long.
SOFT_TOKENS = Mixing(temperature=0.5, gaussian=0.33)
PRESETS = {
    "plain": PLAIN, "study": STUDY, "soft-thinking": SOFT_THINKING, "dirichlet": DIRICHLET, "gumbel": GUMBEL,
    "soft-tokens": SOFT_TOKENS,
}  # fmt: skip
