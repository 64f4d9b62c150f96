"""A transformers Trainer under watch: the callback is all there is to it.

    python examples/transformers_trainer.py

The model is a tiny one made from a configuration and the text is made up, so that nothing is downloaded.
"""

from __future__ import annotations

import tempfile

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from trimtab.integrations.transformers import TrimtabCallback

VOCABULARY = 64
LENGTH = 32


class CountingText(Dataset[dict[str, Tensor]]):
    """Sequences that count upwards from a random start, modulo the vocabulary."""

    def __init__(self, rows: int, seed: int) -> None:
        starts = torch.randint(VOCABULARY, (rows, 1), generator=torch.Generator().manual_seed(seed))
        self._tokens = (starts + torch.arange(LENGTH)) % VOCABULARY

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self._tokens)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return a sequence, to be predicted from itself."""
        return {"input_ids": self._tokens[index], "labels": self._tokens[index]}


def main() -> None:
    """Train for a hundred steps, with an evaluation every twenty-five."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=LlamaForCausalLM(config),
            args=TrainingArguments(
                output_dir=folder,
                max_steps=100,
                per_device_train_batch_size=8,
                learning_rate=3e-3,
                warmup_steps=10,
                eval_strategy="steps",
                eval_steps=25,
                save_strategy="no",
                include_num_input_tokens_seen="all",
                report_to="none",
            ),
            train_dataset=CountingText(4096, seed=1),
            eval_dataset=CountingText(64, seed=2),
            callbacks=[TrimtabCallback(project="examples")],
        )
        trainer.train()


if __name__ == "__main__":
    main()
