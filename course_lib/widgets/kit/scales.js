// Printed by `PYTHONPATH=. python course_lib/widgets/kit/scales.py`; do not edit.

// linear_to
export function linear_to(x) {
  return x;
}

// linear_back
export function linear_back(x) {
  return x;
}

// log_to
export function log_to(x) {
  const _1 = Math.log(x);
  return _1;
}

// log_back
export function log_back(x) {
  const _1 = Math.exp(x);
  return _1;
}

// decay_to
export function decay_to(x) {
  const _1 = 1 - x;
  const _2 = Math.log(_1);
  const _3 = -(_2);
  return _3;
}

// decay_back
export function decay_back(x) {
  const _1 = -(x);
  const _2 = Math.exp(_1);
  const _3 = 1 - _2;
  return _3;
}
