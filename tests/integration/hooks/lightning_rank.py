"""A Lightning Trainer of two ranks under watch, of which it starts the second; see `test_lightning.py`."""

from __future__ import annotations

import sys
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from trimtab.integrations.lightning import TrimtabCallback


class Line(pl.LightningModule):
    """A linear model of one feature."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the squared error."""
        del batch_idx
        loss: Tensor = (self.net(batch[0]) - 2 * batch[0]).square().mean()
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log the squared error."""
        self.log("val_loss", self.training_step(batch, batch_idx), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


def main(folder: str) -> None:
    """Train for three steps."""
    torch.manual_seed(5)
    rows = DataLoader(TensorDataset(torch.randn(24, 1)), batch_size=4)
    pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[TrimtabCallback(project="ranks")],
    ).fit(Line(), rows, rows)


if __name__ == "__main__":
    main(sys.argv[1])
