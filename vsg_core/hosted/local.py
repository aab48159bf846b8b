"""A model of this machine, asked in text alone as a hosted one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vsg_core.errors import NotApplicable
from vsg_core.generator.mixing.presets import PLAIN
from vsg_core.generator.model.language_model import LanguageModel
from vsg_core.generator.writing.decoding import Written, decode
from vsg_core.generator.writing.writers import TokenWriter
from vsg_core.hosted.text_model import MOST_LISTED, Likely, Reply, check_prompts, question_frame
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class LocalTextModel:
    """A LanguageModel as a TextModel.

    Args:
        lm: it stays open when this is dropped.
    """

    most_listed = MOST_LISTED

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        self.name, self.kind = lm.name, lm.kind

    def complete(
        self,
        prompts: Sequence[str],
        max_tokens: int = 20,
        *,
        seed: int | None = None,
        bias: Sequence[Mapping[str, float]] | None = None,
        fresh: bool = False,
    ) -> list[Reply]:
        """Continue each text; every call computes anew."""
        texts = check_prompts(prompts)
        if not texts:
            return []
        if bias is not None:
            added = [{self._id(token): more for token, more in each.items()} for each in bias]
            traces = decode(self.lm, texts, _Biased(self.lm, added), max_tokens)
            return [Reply(self.lm.decode(trace.steps), _reason(trace.stopped)) for trace in traces]
        sampling = None if seed is None else PLAIN
        drawn = None if seed is None else torch.Generator().manual_seed(seed)
        written = self.lm.generate(texts, max_tokens, sampling, drawn)
        return [Reply(each.text, _reason(each.stopped)) for each in written]

    def ask(self, questions: Sequence[str], max_tokens: int = 20) -> list[Reply]:
        """Answer each question, in the chat format where there is one."""
        texts = check_prompts(questions)
        if not texts:
            return []
        chats = self.kind == "instruct"
        prompts = [self.lm.chat(each) if chats else question_frame(each) for each in texts]
        written = self.lm.generate(prompts, max_tokens)
        return [Reply(each.answer, _reason(each.stopped)) for each in written]

    def likely(self, prompts: Sequence[str], most: int = MOST_LISTED) -> list[Likely]:
        """The most probable next tokens after each text, no more than an API would list."""
        texts = check_prompts(prompts)
        if not texts:
            return []
        wanted = min(most, MOST_LISTED)
        probabilities = self.lm.next_logits(texts).double().softmax(-1)
        top = probabilities.topk(min(wanted, probabilities.shape[-1]))
        return [
            self._listed(ids, values, wanted)
            for ids, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]

    def _listed(self, ids: Sequence[int], values: Sequence[float], most: int) -> Likely:
        listed: dict[str, float] = {}
        for token_id, value in zip(ids, values, strict=True):
            # The more probable one of two with the same text comes first.
            listed.setdefault(self.lm.token(token_id), value)
        return Likely.of(listed, most)

    def _id(self, token: str) -> int:
        """The id of the token with this text.

        Raises:
            NotApplicable: the text is several tokens.
        """
        ids = self.lm.tokenize(token, special=False).tolist()
        if len(ids) != 1:
            raise NotApplicable(f"{token!r} is {len(ids)} tokens of {self.name}: a bias is on one token")
        return int(ids[0])


class _Biased(TokenWriter):
    """Greedy decoding with something added to the logits of some tokens.

    Args:
        added: for each sequence, by token id.
    """

    def __init__(self, lm: LanguageModel, added: Sequence[Mapping[int, float]]) -> None:
        super().__init__(lm)
        self.added = added

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        biased = logits.clone()
        for place, row in enumerate(rows.tolist()):
            for token_id, more in self.added[row].items():
                biased[place, token_id] += more
        return super().__call__(biased, rows, step, hidden)


def _reason(stopped: str) -> str:
    return "end" if stopped == "end" else "length"
