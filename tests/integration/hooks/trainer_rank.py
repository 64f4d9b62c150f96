"""One rank of a Trainer under watch; started by torchrun in `test_transformers.py`."""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from trimtab.integrations.transformers import TrimtabCallback


def collate(rows: list[tuple[Tensor]]) -> dict[str, Tensor]:
    """Make a batch of sequences that are to be predicted from themselves."""
    tokens = torch.stack([tokens for (tokens,) in rows])
    return {"input_ids": tokens, "labels": tokens}


def main(output_folder: str) -> None:
    """Train for three steps."""
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    Trainer(
        model=LlamaForCausalLM(config),
        args=TrainingArguments(
            output_dir=output_folder,
            max_steps=3,
            per_device_train_batch_size=2,
            eval_strategy="steps",
            eval_steps=3,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            ddp_backend="gloo",
        ),
        train_dataset=TensorDataset(torch.randint(32, (64, 8))),
        eval_dataset=TensorDataset(torch.randint(32, (4, 8))),
        data_collator=collate,
        callbacks=[TrimtabCallback(project="ranks")],
    ).train()


if __name__ == "__main__":
    main(sys.argv[1])
