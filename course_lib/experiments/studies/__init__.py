"""The experiments behind the pages' sentences and plots, a module a chapter. Each is recorded once: see records.py."""
