"""The polynomials of vecmath.h: ``python tests/coefficients.py`` writes polynomials.h anew.

Each is the polynomial of its degree whose greatest relative error over the interval is least, by
Remez's exchange of the points where the error is greatest (E. Ya. Remez, 1934), in 50 digits.
"""

from pathlib import Path

import mpmath as mp

HEADER = Path(__file__).resolve().parents[1] / "fastbp/_kernels/arithmetic/polynomials.h"
DIGITS = {"float": 9, "double": 17}
HALF_LN2 = 0.34675  # a little more, as the reduction rounds
#: a of `mills`, by type: its variable is (a - SHIFT) / (a + SHIFT), over 0 <= a <= LIMIT.
SHIFT = {"float": 3.5, "double": 5.5}
LIMIT = {"float": 15, "double": 39}


def expm1_tail(r):
    return (mp.expm1(r) - r) / r**2 if abs(r) > 1e-12 else mp.mpf(1) / 2 + r / 6


def log1p_over(t):
    e = t + mp.mpf(1) / 2
    return mp.log1p(e) / e if e > 1e-12 else 1 - e / 2


def mills(shift):
    def scaled(t):
        a = shift * (1 + t) / (1 - t)
        return (a + shift) * mp.ncdf(-a) * mp.exp(a * a / 2)

    return scaled


def wanted(kind):
    """Name: (what it is, function, weight of the error, interval, degree)."""
    shift, limit = SHIFT[kind], LIMIT[kind]
    ratio = mills(shift)
    degrees = {"float": (4, 9, 9), "double": (9, 20, 21)}[kind]
    return {
        "expm1_tail": (
            "(exp(x) - 1 - x) / x^2, |x| <= ln(2)/2",
            expm1_tail,
            lambda r: abs(r) + 1e-3,
            (-HALF_LN2, HALF_LN2),
            degrees[0],
        ),
        "log1p_over": (
            "log(1 + e) / e, 0 <= e <= 1, x = e - 1/2",
            log1p_over,
            lambda t: 1 / log1p_over(t),
            (-0.5, 0.5),
            degrees[1],
        ),
        "mills": (
            "(a + MILLS_SHIFT) Phi(-a) exp(a^2/2), 0 <= a <= MILLS_LIMIT,\n"
            " * x = (a - MILLS_SHIFT) / (a + MILLS_SHIFT)",
            ratio,
            lambda t: 1 / ratio(t),
            (-1, (limit - shift) / (limit + shift)),
            degrees[2],
        ),
    }


def chebyshev(coefficients, u):
    """sum_k coefficients[k] T_k(u), by Clenshaw's recurrence."""
    b = c = mp.mpf(0)
    for k in coefficients[:0:-1]:
        b, c = 2 * u * b - c + k, b
    return u * b - c + coefficients[0]


def best(f, weight, interval, degree):
    """The polynomial's coefficients by x, the highest power first, and its greatest error."""
    low, high = map(mp.mpf, interval)
    n = degree + 2

    def place(u):
        return (low + high) / 2 + (high - low) / 2 * u

    points = [-mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) for i in range(n)]
    grid = [-mp.cos(mp.pi * i / (24 * n)) for i in range(24 * n + 1)]
    aims = [(f(place(u)), weight(place(u))) for u in grid]
    for _ in range(6):
        rows = [[mp.chebyt(k, u) for k in range(n - 1)] + [(-1) ** i / weight(place(u))] for i, u in enumerate(points)]
        *series, _ = mp.lu_solve(mp.matrix(rows), mp.matrix([f(place(u)) for u in points]))
        peaks = []  # the greatest error of each run of one sign
        for u, (aim, w) in zip(grid, aims, strict=True):
            error = w * (aim - chebyshev(series, u))
            if peaks and (error > 0) == (peaks[-1][1] > 0):
                peaks[-1] = max(peaks[-1], (u, error), key=lambda peak: abs(peak[1]))
            else:
                peaks.append((u, error))
        assert len(peaks) == n, "Remez lost an extreme"
        points = [u for u, _ in peaks]
    return by_powers(series, low, high), max(abs(error) for _, error in peaks)


def by_powers(series, low, high):
    """A Chebyshev series over [low, high] as coefficients by x, the highest power first."""
    at = [low + (high - low) * i / (len(series) - 1) for i in range(len(series))]
    values = [chebyshev(series, (2 * x - low - high) / (high - low)) for x in at]
    powers = mp.matrix([[x**k for k in range(len(series))] for x in at])
    return list(mp.lu_solve(powers, mp.matrix(values)))[::-1]


def body(kind, name):
    """Horner's rule, and the error in half units in the last place."""
    _, f, weight, interval, degree = wanted(kind)[name]
    (first, *rest), error = best(f, weight, interval, degree)
    unit = error * 2 ** (24 if kind == "float" else 53)
    suffix = "f" if kind == "float" else ""
    number = [mp.nstr(c, DIGITS[kind], strip_zeros=False) + suffix for c in (first, *rest)]
    return f"    REAL p = {number[0]}; /* within {mp.nstr(unit, 2)} 2^-{24 if suffix else 53} */\n" + "".join(
        f"    p = p * x + {n};\n" for n in number[1:]
    )


def text():
    parts = [
        "/* The polynomials of vecmath.h, as tests/coefficients.py derives and writes them. */\n",
        *(
            f"#define MILLS_{name} VECMATH_CONST({of['float']}, {of['double']})"
            for name, of in (("SHIFT", SHIFT), ("LIMIT", LIMIT))
        ),
        "",
    ]
    for name, (what, *_) in wanted("float").items():
        parts.append(
            f"/* {what} */\nstatic inline REAL FN({name})(REAL x)\n{{\n#if IS_FLOAT\n"
            f"{body('float', name)}#else\n{body('double', name)}#endif\n    return p;\n}}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    mp.mp.dps = 50
    HEADER.write_text(text())
