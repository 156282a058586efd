"""Every tolerance of the tests, in one place, each with its reason.

A test that fails by a factor of two asks for a reason, not for a larger number.
"""

import numpy as np

EPS = float(np.finfo(np.float64).eps)
EPS32 = float(np.finfo(np.float32).eps)

# --- against scikit-learn -----------------------------------------------------------------

#: Fitted parameters and scores on float64 data, relative to the largest entry of the array.
#: Two correct programs differ by some ten roundings per iteration (1e-15). EM passes a
#: difference on, multiplied by less than one near a fixed point, but by up to about 1e3
#: while components still separate. scikit-learn's E[x^2] - mean^2 adds eps * mean^2 /
#: variance: 1e-13 on most data here, 1e-10 in a start from single rows.
PARITY_RTOL = 1e-8

#: Responsibilities (numbers between 0 and 1): absolute, because each is exp of a difference
#: of log-densities, and these are of size 1e6 where a start gives variances of reg_covar.
PARITY_PROBABILITY_ATOL = 1e-7

#: float32 data: scikit-learn computes in float32 from end to end. Its sums over a few
#: hundred rows are good to about 1e-5 relative to the data's size.
PARITY_RTOL_FLOAT32 = 2e-3

#: sample() draws the same normal deviates and maps them by the singular vectors of the
#: covariance; these turn by (difference of the covariances) / (gap of its eigenvalues).
DRAWS_RTOL = 1e-6

# --- against ourselves --------------------------------------------------------------------

#: The same numbers given in another form or order (strides, list, frame): a different
#: blocking of the sums may round differently, nothing else may.
SAME_DATA_RTOL = 1e-11

#: Integer weights against repeated rows, and absent rows against rows of weight zero: the
#: same sums in another order, over up to about 30 iterations.
REPEATED_ROWS_RTOL = 1e-9

#: All weights times a constant: no mean and no covariance changes, but for rounding.
SCALED_WEIGHTS_RTOL = 1e-9

#: The laws of the statistics (zero, order, chunking) relative to the sum of the magnitudes.
STATISTICS_RTOL = 1e-13

#: Rows in other chunks, in another order, or as weights: float64 sums of up to a few hundred terms,
#: each good to some roundings.
CHUNKING_RTOL = 1e-12

#: The same for float32 rows, whose responsibilities have 24 bits, and whose sums within a tile too.
CHUNKING_RTOL_FLOAT32 = 1e-5

#: By how much the mean log-likelihood may fall in an iteration of EM: rounding of the sum.
LIKELIHOOD_FALL = 1e-9

#: Fits to transformed rows, to rows and components in another order: rounding of the rows, passed
#: on through a few iterations.
TRANSFORMED_RTOL = 1e-11

#: Fits to rows shifted by 7e7 in float64, relative to the standard deviation: means are rounded by
#: 1e-8, the densities of the next iteration with them, and through these the covariances.
FAR_SHIFT_RTOL = 2e-7

#: In float32 shifted by 1000: the sums and the means between iterations are float64.
FAR_SHIFT_RTOL_FLOAT32 = 1e-5

# --- against reference.py -----------------------------------------------------------------

#: One pass of a kernel against the oracle, in roundings of the rows' dtype relative to the largest
#: number: sums of up to some thousand terms, in any order, and exponentials of a few tens.
PASS_ROUNDINGS = 200

#: A micro-kernel against its definition: roundings of the largest number of a result, which is
#: a sum of up to a few hundred products.
MICROKERNEL_ROUNDINGS = 50

#: Fits of a fixed number of iterations against the oracle in long double, float64 data.
ORACLE_FIT_RTOL = 1e-9

#: float32 data: the sums are float64 but the operands and the stored answers may be float32,
#: and a mean in float32 is off by eps32 * |mean|. In units of the standard deviation (1 in
#: these tests) that is 5e-4 at offset 1e4; responsibilities between overlapping components,
#: and so covariances, move by about as much in each of a few iterations. What cancels
#: is wrong by eps32 * mean^2: 6e-2 at offset 1e3 and 6 at offset 1e4.
ORACLE_FIT_RTOL_FLOAT32 = 5e-3


#: Goldens are written with 30 digits. A long double of 128 bits, as on ARM, has 34.
GOLDEN_ROUNDING = 1e-29


def golden_em_tolerance(X):
    """Relative tolerance on three iterations of EM in float64, against 50 digits.

    A mean is stored with a rounding of eps * |mean|. Measured in standard deviations (1 in
    the golden data) it changes the densities of the next iteration, and through them the
    covariances, by about as much: 2e-8 at offset 1e8. Each data set has at most 30 rows.
    What cancels is wrong by eps * mean^2: 2 at offset 1e8.
    """
    return 1e-12 + 20 * EPS * float(np.abs(X).max())


def log_density_error(X, means, precisions_cholesky, covariance_type, eps=EPS):
    """Bound on the rounding error of a log-density computed by centring, shape (n, k).

    Forward error analysis (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002,
    section 3.1): with u = eps / 2 and any order of summation,

    * x - mean has one rounding; a kernel that keeps its coordinates relative to one origin
      among the means has two more, of size u times the distance between means;
    * y_j = sum_i (x - mean)_i U_ij is off by at most (d + 2) u sum_i |x - mean|_i |U_ij|,
      which is much more than u |y_j| where the sum cancels (ill-conditioned U);
    * sum_j y_j^2 carries 2 |y_j| times that, and (d + 2) u of its own;
    * the sum of the logs of the diagonal and the additions at the end carry u times the sum
      of the magnitudes of their terms.

    The factor 4 on top allows for a polynomial log good to 1 ulp and for second-order
    terms. Expanding the square would need eps * (mean / sd)^2: 2 at offset 1e8.
    """
    k, d = means.shape
    between_means = means.max(axis=0) - means.min(axis=0)
    bound = np.empty((len(X), k))
    for j in range(k):
        factor = precisions_cholesky if covariance_type == "tied" else precisions_cholesky[j]
        if covariance_type in ("diag", "spherical"):
            factor = np.diag(np.broadcast_to(factor, d))
        difference = X - means[j]
        y = difference @ factor
        y_error = (d + 2) * eps / 2 * (np.abs(difference) @ np.abs(factor))
        y_error += eps * (between_means @ np.abs(factor))
        square_error = (2 * np.abs(y) * y_error + y_error**2).sum(axis=1)
        square_error += (d + 2) * eps / 2 * (y * y).sum(axis=1)
        log_terms = np.abs(np.log(np.diagonal(factor))).sum() + d * np.log(2 * np.pi)
        total = log_terms + (y * y).sum(axis=1)
        bound[:, j] = square_error / 2 + (d + 2) * eps * total
    return 4 * bound + 4 * eps


def log_weight_error(weights):
    """Rounding error of the logarithm of a weight, and of what is added to it."""
    return 4 * EPS * (1 + float(np.abs(np.log(weights)).max()))


#: Responsibilities below exp(-70) may be taken as zero: beside the row's largest they are
#: 4e-31 and change no sum.
NEGLIGIBLE_RESPONSIBILITY = 1e-30
