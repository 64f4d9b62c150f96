"""A Lightning Trainer under watch: the callback is all there is to it.

    python examples/lightning_trainer.py

Without the callback, `TRIMTAB_AUTO=1 python examples/lightning_trainer.py` would do the same. The task is
made up, so that nothing is downloaded: to fit sines with a small network.
"""

from __future__ import annotations

import tempfile
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from trimtab.integrations.lightning import TrimtabCallback


class Sines(pl.LightningModule):
    """Predicts the sine of each of a few numbers."""

    def __init__(self, width: int = 64, learning_rate: float = 3e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.learning_rate = learning_rate
        self.net = torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Tanh(), torch.nn.Linear(width, 8))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch: Trimtab takes it from here, and nothing has to be logged."""
        del batch_idx
        return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log the loss of a batch that is not trained on; it is recorded as `eval_loss`."""
        self.log("val_loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self) -> Any:
        """Return AdamW, with a rate that falls along a cosine."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def numbers(rows: int, seed: int) -> DataLoader[tuple[Tensor, ...]]:
    """Return batches of numbers and their sines, each of shape (32, 8)."""
    inputs = 3 * torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(inputs, inputs.sin()), batch_size=32, shuffle=seed == 1)


def main() -> None:
    """Train for a hundred steps, with a validation every twenty-five."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            default_root_dir=folder,
            max_steps=100,
            val_check_interval=25,
            gradient_clip_val=1.0,
            accelerator="cpu",
            logger=False,
            enable_model_summary=False,
            callbacks=[TrimtabCallback(project="examples", count_tokens=lambda batch: batch[0].numel())],
        )
        trainer.fit(Sines(), numbers(3200, seed=1), numbers(256, seed=2))


if __name__ == "__main__":
    main()
