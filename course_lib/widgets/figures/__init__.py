"""The figures, a pair each: x.py holds the state, x.js draws it; files that only one figure needs begin with its name."""
