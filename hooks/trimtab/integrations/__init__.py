"""Watch a framework's training loop: one module a framework, none of them imported by `import trimtab`."""
