"""Grading of a class: students' notebooks are read, their code answers calls in processes of its own, and judged from outside."""
