"""The collector: takes in what training jobs send, understands it, acts on it, and adds up what it costs."""
