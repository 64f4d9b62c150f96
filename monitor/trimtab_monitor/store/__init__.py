"""Where the collector keeps its log and its state: SQLite, or memory."""
