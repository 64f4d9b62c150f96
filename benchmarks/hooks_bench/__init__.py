"""What it costs to watch a training loop: Trimtab beside the clients that people use, in one run."""
