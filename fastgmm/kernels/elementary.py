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

# log((2 + s) / (2 - s)) = s + s^3 r(s^2) on sqrt(1/2) <= x <= sqrt(2); error 1.2e-18, 8.1e-10.
_LOG_64 = (
    0.083333333333334180764, 0.012499999999816974143, 0.0022321428705059045316,
    0.00043402731569187686535, 0.000088786937839264547515, 0.000018693891321553022212,
    4.5154132179517122714e-6,
)  # fmt: skip
_LOG_32 = (0.083333470518897629514, 0.012492980306200922279, 0.002333739239640738055)

SMALLEST_EXP = {True: -708.0, False: -87.0}
"""Where exp is still a normal number, by whether it is float64."""

LOG2_E = 1.4426950408889634074
LN_2 = 0.69314718055994530942


class _Format:
    """What the bit tricks need to know of a float type."""

    def __init__(self, double):
        self.mantissa_bits = 52 if double else 23
        self.bias = 1023 if double else 127
        # Adding this rounds to an integer, which then stands in the low bits.
        self.magic = 1.5 * 2.0**self.mantissa_bits
        self.magic_bits = 0x4338000000000000 if double else 0x4B400000
        self.sqrt_half_bits = 0x3FE6A09E667F3BCD if double else 0x3F3504F3
        self.exp2_coefficients = _EXP2_64 if double else _EXP2_32
        self.log_coefficients = _LOG_64 if double else _LOG_32


def _polynomial(v, x, coefficients):
    """Horner's rule."""
    result = v.constant(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result = v.fma(result, x, v.constant(coefficient))
    return result


def exp2(v, x, factor, counts):
    """2^(factor x) where `counts`, else zero.

    With any factor the argument's reduction takes three operations, and is exact for the factor as
    rounded where multiplications are fused.

    Parameters
    ----------
    v : Vectors
    x : LLVM vector
    factor : float
    counts : LLVM vector of bool
        At most where factor x is above `SMALLEST_EXP` / ln(2), and below as much above zero.
    """
    f, b = _Format(v.double), v.builder
    factor, magic = v.constant(factor), v.constant(f.magic + f.bias)
    shifted = v.fma(x, factor, magic)
    x = v.fma(x, factor, v.sub(magic, shifted))
    mantissa = v.fma(x, _polynomial(v, x, f.exp2_coefficients), v.constant(1.0))
    # The exponent's bits as they stand in a float, and all others 0.
    power = b.shl(b.bitcast(shifted, v.int_type), v.int_constant(f.mantissa_bits))
    # Multiplied, not added to the exponent: then the choice of lanes takes no instruction.
    return b.select(counts, v.mul(mantissa, b.bitcast(power, v.type)), v.constant(0.0))


def log_positive(v, x):
    """Natural logarithm of x > 0, x a normal number.

    Parameters
    ----------
    v : Vectors
    x : LLVM vector
    """
    n, beyond, mean = _reduced(v, x)
    return _log(v, n, v.builder.fdiv(beyond, mean))


def log_and_inverse(v, x):
    """Natural logarithm of x > 0, and 1 / x, which share a division.

    Parameters
    ----------
    v : Vectors
    x : LLVM vector
        Four times x and four times 1 / x are normal numbers.
    """
    n, beyond, mean = _reduced(v, x)
    both = v.builder.fdiv(v.constant(1.0), v.mul(mean, x))
    per_mean = v.mul(x, both)
    s = v.mul(beyond, per_mean)
    # What four roundings took from it.
    s = v.fma(v.fma(v.builder.fneg(s), mean, beyond), per_mean, s)
    return _log(v, n, s), v.mul(mean, both)


def _reduced(v, x):
    """n, y - 1 and (y + 1) / 2, where x = 2^n y and sqrt(1/2) <= y <= sqrt(2)."""
    f, b = _Format(v.double), v.builder
    bits = b.bitcast(x, v.int_type)
    above = b.sub(bits, v.int_constant(f.sqrt_half_bits))
    exponent = b.ashr(above, v.int_constant(f.mantissa_bits))
    y = b.bitcast(b.sub(bits, b.shl(exponent, v.int_constant(f.mantissa_bits))), v.type)
    n = v.sub(b.bitcast(b.add(exponent, v.int_constant(f.magic_bits)), v.type), v.constant(f.magic))
    half = v.constant(0.5)
    return n, v.sub(y, v.constant(1.0)), v.fma(y, half, half)


def _log(v, n, s):
    """log(2^n (2 + s) / (2 - s))."""
    square = v.mul(s, s)
    tail = _polynomial(v, square, _Format(v.double).log_coefficients)
    return v.fma(n, v.constant(LN_2), v.fma(v.mul(s, square), tail, s))
