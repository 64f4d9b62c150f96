"""The tools that are measured, each in a process of its own; peers import nothing of Trimtab."""
