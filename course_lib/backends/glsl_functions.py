"""Functions that every generated shader begins with: what GLSL leaves open, or promises to too few bits."""

FUNCTIONS = """\
// as whole numbers, floats without their sign have the same order, infinity comes after all of them, NaN after infinity
int size(float x) { return int(floatBitsToUint(x) & 0x7fffffffu); }
bool finite(float x) { return size(x) <= 0x7f7fffff; }
bool is_nan(float x) { return size(x) > 0x7f800000; }

// as in C, with the sign of x; each subtraction is exact, which x - y * trunc(x / y) is not
float fmod(float x, float y) {
  float rest = abs(x), least = abs(y), part = least;
  if (!finite(x) || is_nan(y) || least == 0.0) return uintBitsToFloat(0x7fc00000u);
  for (int k = 0; k < 300 && part <= 0.5 * rest; k++) part *= 2.0;
  for (int k = 0; k < 300 && part >= least; k++) {
    if (rest >= part) rest -= part;
    part *= 0.5;
  }
  return x < 0.0 ? -rest : rest;
}

// Cephes' polynomials: GLSL promises 11 bits of a sine; quarter 1 makes it a cosine
float sine(float x, int quarter) {
  float turns = floor(x * 0.63661977236758134 + 0.5), half_turns = floor(0.5 * turns);
  float r = ((x - turns * 1.5703125) - turns * 4.83751297e-4) - turns * 7.54978995e-8, s = r * r;
  int k = (int(turns - 2.0 * half_turns) + 2 * int(half_turns - 2.0 * floor(0.5 * half_turns)) + quarter) & 3;
  float odd = r + r * s * (-1.6666654611e-1 + s * (8.3321608736e-3 - s * 1.9515295891e-4));
  float even = 1.0 - 0.5 * s + s * s * (4.166664568298827e-2 + s * (-1.388731625493765e-3 + s * 2.443315711809948e-5));
  float found = (k & 1) == 1 ? even : odd;
  return finite(x) ? (k < 2 ? found : -found) : uintBitsToFloat(0x7fc00000u);
}

// GLSL leaves log and pow open for x <= 0
float logarithm(float x) {
  return x > 0.0 ? log(x) : uintBitsToFloat(x == 0.0 ? 0xff800000u : 0x7fc00000u);
}

// some drivers make NaN of the tanh of a large number
float tangent(float x) { return is_nan(x) ? x : tanh(clamp(x, -20.0, 20.0)); }

float binary_logarithm(float x) {
  return x > 0.0 ? log2(x) : uintBitsToFloat(x == 0.0 ? 0xff800000u : 0x7fc00000u);
}

// near 0 by the series of the inverse hyperbolic tangent
float log_of_one_plus(float x) {
  if (!(abs(x) < 0.5)) return logarithm(1.0 + x);
  float s = x / (2.0 + x), q = s * s;
  return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0))))));
}

float exp_less_one(float x) {
  if (!(abs(x) < 0.5)) return exp(x) - 1.0;
  float sum = 1.0;
  for (int k = 10; k > 1; k--) sum = 1.0 + x / float(k) * sum;
  return x * sum;
}

// GLSL leaves 4096 units in the last place to its own; two half angles make the series short
float arc(float x) {
  if (is_nan(x)) return x;
  float a = abs(x), y = a > 1.0 ? 1.0 / a : a;
  for (int k = 0; k < 2; k++) y = y / (1.0 + sqrt(1.0 + y * y));
  float s = y * y, part = 4.0 * y * (1.0 + s * (-1.0 / 3.0 + s * (0.2 + s * (-1.0 / 7.0 + s * (1.0 / 9.0 - s / 11.0)))));
  float whole = a > 1.0 ? 1.5707963267948966 - part : part;
  return x < 0.0 ? -whole : whole;
}

// Kummer's series, whose terms are all positive; from 2 on a continued fraction of what is missing to 1
float error_function(float x) {
  if (is_nan(x)) return x;
  float a = abs(x), scale = exp(-a * a) / 1.7724538509055159, term = 2.0 * a, sum = term, rest = a;
  for (int k = 1; k < 40; k++) { term *= 2.0 * a * a / float(2 * k + 1); sum += term; }
  for (int k = 40; k > 0; k--) rest = a + 0.5 * float(k) / rest;
  float found = a < 2.0 ? scale * sum : a < 4.0 ? 1.0 - scale / rest : 1.0;
  return x < 0.0 ? -found : found;
}

float power(float x, float y) {
  if (y == 0.0) return 1.0;
  if (x > 0.0) return pow(x, y);
  if (x == 0.0) return y > 0.0 ? 0.0 : uintBitsToFloat(0x7f800000u);
  if (floor(y) != y) return uintBitsToFloat(0x7fc00000u);
  return floor(0.5 * y) == 0.5 * y ? pow(-x, y) : -pow(-x, y);
}
"""
