"""One formula, every machine: a formula, traced to scalar instructions, printed for the machine at hand."""
