"""Exponential and logarithm of vectors, about one unit in the last place.

Numba's own go to libm one lane at a time (SVML left with Numba 0.62). Both follow the classical
scheme: reduce the argument by powers of two, then a minimax polynomial (coefficients by the Remez
exchange at 60 digits; its relative error stands beside each).
"""

# 2^x = 1 + x p(x) on |x| <= 1/2; relative error 3.4e-18 and 2.0e-9.
_EXP2_64 = (
    0.69314718055994532584, 0.24022650695910131379, 0.055504108664820080276,
    0.0096181291075940655266, 0.0013333558146775164585, 0.00015403530457188064364,
    0.000015252733492763456185, 1.3215435241342372861e-6, 1.0178199659072583437e-7,
    7.0737907594346632209e-9, 4.4347675115923665456e-10,
)  # fmt: skip
_EXP2_32 = (
    0.69314720288086182857, 0.24022647910274505568, 0.055503324097782475593,
    0.0096184376090184059855, 0.0013398900146984863721, 0.00015353340130349842101,
)  # fmt: skip

# log((1 + s) / (1 - s)) = 2 s + s^3 r(s^2) on sqrt(1/2) <= x <= sqrt(2); error 1.2e-18, 8.1e-10.
_LOG_64 = (
    0.66666666666667344611, 0.39999999999414317257, 0.28571428742475578004,
    0.22222198563424095506, 0.18183564869481379331, 0.15314035770616235796,
    0.14796106032584170771,
)  # fmt: skip
_LOG_32 = (0.66666776415118103611, 0.39977536979842951292, 0.29871862267401447104)

# ln(2) = high + low, where high has few enough bits for `n * high` to be exact.
_LN2_64 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
_LN2_32 = (0.693359375, -2.12194440e-4)

SMALLEST_EXP = {True: -708.0, False: -87.0}
"""Where exp is still a normal number, by whether it is float64."""

LOG2_E = 1.4426950408889634074
LN_2 = 0.69314718055994530942


class _Format:
    """What the bit tricks need to know of a float type."""

    def __init__(self, double):
        self.mantissa_bits = 52 if double else 23
        # Adding this rounds to an integer, which then stands in the low bits.
        self.magic = 1.5 * 2.0**self.mantissa_bits
        self.magic_bits = 0x4338000000000000 if double else 0x4B400000
        self.sqrt_half_bits = 0x3FE6A09E667F3BCD if double else 0x3F3504F3
        self.ln2_high, self.ln2_low = _LN2_64 if double else _LN2_32
        self.exp2_coefficients = _EXP2_64 if double else _EXP2_32
        self.log_coefficients = _LOG_64 if double else _LOG_32


def _polynomial(v, x, coefficients):
    """Horner's rule."""
    result = v.constant(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result = v.fma(result, x, v.constant(coefficient))
    return result


def exp2_nonpositive(v, x, counts):
    """2^x for x <= 0 where `counts`, else zero.

    To the base 2 the argument's reduction is exact, and takes one operation instead of three.

    Parameters
    ----------
    v : Vectors
    x : LLVM vector
    counts : LLVM vector of bool
        At most where x is above `SMALLEST_EXP` / ln(2).
    """
    f, b = _Format(v.double), v.builder
    magic = v.constant(f.magic)
    shifted = v.add(x, magic)
    x = v.sub(x, v.sub(shifted, magic))
    mantissa = v.fma(x, _polynomial(v, x, f.exp2_coefficients), v.constant(1.0))
    exponent = b.shl(b.bitcast(shifted, v.int_type), v.int_constant(f.mantissa_bits))
    result = b.bitcast(b.add(b.bitcast(mantissa, v.int_type), exponent), v.type)
    return b.select(counts, result, v.constant(0.0))


def log_positive(v, x):
    """Natural logarithm of x > 0, x a normal number.

    Parameters
    ----------
    v : Vectors
    x : LLVM vector
    """
    f, b = _Format(v.double), v.builder
    bits = b.bitcast(x, v.int_type)
    above = b.sub(bits, v.int_constant(f.sqrt_half_bits))
    exponent = b.ashr(above, v.int_constant(f.mantissa_bits))
    reduced = b.sub(bits, b.shl(exponent, v.int_constant(f.mantissa_bits)))
    x = b.bitcast(reduced, v.type)
    n = v.sub(b.bitcast(b.add(exponent, v.int_constant(f.magic_bits)), v.type), v.constant(f.magic))
    one = v.constant(1.0)
    s = b.fdiv(v.sub(x, one), v.add(x, one))
    square = v.mul(s, s)
    tail = v.mul(v.mul(s, square), _polynomial(v, square, f.log_coefficients))
    tail = v.fma(n, v.constant(f.ln2_low), tail)
    return v.fma(n, v.constant(f.ln2_high), v.add(v.add(s, s), tail))
