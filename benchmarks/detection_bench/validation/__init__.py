"""Cross-validation: settings are chosen on some curves, and judged on others."""
