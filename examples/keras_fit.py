"""Keras 3 under watch: the callback is all there is to it.

    KERAS_BACKEND=torch python examples/keras_fit.py

Each batch's own loss is told, where Keras shows the mean over the epoch so far.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras  # type: ignore[import-untyped]
import numpy as np

from trimtab.integrations.keras import TrimtabCallback


def main() -> None:
    """Fit a small classifier on data that is made up."""
    keras.utils.set_random_seed(0)
    inputs = np.random.default_rng(0).normal(size=(8192, 16)).astype("float32")
    labels = inputs[:, :4].argmax(axis=1)
    model = keras.Sequential(
        [keras.layers.Dense(64, activation="gelu"), keras.layers.Dense(4, activation="softmax")]
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-2), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(
        inputs,
        labels,
        batch_size=64,
        epochs=3,
        validation_split=0.1,
        verbose=0,
        callbacks=[TrimtabCallback(project="examples")],
    )


if __name__ == "__main__":
    main()
